import type { Device } from '../devices/device.js';
import { add, mul, neg, sub } from '../ops/arithmetic.js';
import { cast } from '../ops/cast.js';
import { embedding } from '../ops/embedding.js';
import { matmul } from '../ops/matmul.js';
import { sum } from '../ops/reduce.js';
import { broadcastTo, concat, reshape, split } from '../ops/shape.js';
import { scope, tensor, type Tensor } from '../tensor/index.js';
import { ropeAngles } from './angles.js';
import { rope } from './rope.js';
import type { RelativeParameters } from './transformer-xl.js';

/** What the heads of one layer learn where keys lie on both sides of the query. */
export interface BothSidesParameters extends RelativeParameters {
  /** e `[H, D]`: the product with it is a row's share in all that is of its segment, and no class row. */
  readonly others?: Tensor | undefined;
  /** d `[H, D]`: the same for what is of another segment. */
  readonly different?: Tensor | undefined;
  /** t `[H, D]`, added to the query where it meets e. */
  readonly othersBias?: Tensor | undefined;
}

/** Where rows stand: row r at position `first + stride·r`. */
export interface Places {
  readonly first: number;
  readonly stride: number;
}

export interface BothSidesOptions {
  readonly queries: Places;
  readonly keys: Places;
  /** Whether row 0 of both is a class: what stands beside the content is 0 where either of the two is one. */
  readonly separateClass: boolean;
  /** Default: all rows are of one segment. */
  readonly segments?: Segments | undefined;
}

/** The types of rows: two are of one segment where theirs are the same, or one of them is `class`. */
export interface Segments {
  /** How many types there are. */
  readonly types: number;
  readonly class?: number;
  /** `[B, L]` and `[B, S]`, i32. */
  readonly ofQueries: Tensor;
  readonly ofKeys: Tensor;
}

/**
 * The terms of Transformer-XL for distances of both signs, as longer queries and keys: attention to them with scale `s` has the scores
 * `s · ((q_i + u)·k_j + c_ij ((q_i + v)·(W_R R_{p_i − p_j}) + (q_i + t)·e_ij))`, `c_ij` 0 where i or j is the class row, else 1; e_ij is e
 * within a segment, and d of two. The last term is there where its parameters are, and it tells pairs of a row apart. `q` `[B,H,L,D]`,
 * `k` `[B,G,S,D]` → `[B,H,L,D + M]` and `[B,G,S,D + M]`, a few more with the last term.
 *
 * By the sum of angles the second term is a product of a row that the query makes and one that is the key's position, so no table of
 * distances is made. (Dai et al. 2019, arXiv 1901.02860; with segments: Yang et al. 2019, arXiv 1906.08237;
 * with a class row: Dai et al. 2020, arXiv 2006.03236.)
 *
 * @internal
 */
export function bothSides(
  q: Tensor,
  k: Tensor,
  { weight, contentBias, positionBias, others, othersBias, different }: BothSidesParameters,
  { queries, keys, separateClass, segments }: BothSidesOptions,
): { readonly q: Tensor; readonly k: Tensor } {
  const [, H, L, D] = q.shape as [number, number, number, number];
  const [B, G, S] = k.shape as [number, number, number];
  const M = weight.shape[1]!;
  const { device, dtype } = q;
  const plus = (bias: Tensor): Tensor => add(q, cast(reshape(bias, [H, 1, D]), dtype));
  const rows = ({ first, stride }: Places, count: number): number[] =>
    Array.from({ length: count }, (_, row) => first + stride * row);
  const but = (x: Tensor, count: number): Tensor =>
    separateClass
      ? mul(
          x,
          cast(
            tensor(
              Float32Array.from({ length: count }, (_, row) => Number(row > 0)),
              [count, 1],
              { device },
            ),
            x.dtype,
          ),
        )
      : x;
  return scope(() => {
    // sin((i−j)ω) = sin iω cos jω − cos iω sin jω and its like for cos: columns of cosines first, those of sines negated
    const [sines, cosines] = split(reshape(weight, [H, D, M]), [M / 2, M / 2], { axis: -1 }) as [Tensor, Tensor];
    const turned = matmul(plus(positionBias), cast(concat([cosines, neg(sines)], { axis: -1 }), dtype)); // [B, H, L, M]
    const placed = rope(cast(turned, dtype), { positions: rows(queries, L) });
    const angles = ropeAngles(rows(keys, S), { rotaryDim: M, device }); // [S, M]
    const inQuery = [but(placed, L)];
    const ofKeys = [but(angles, S)];
    const share = (e: Tensor): Tensor =>
      sum(mul(plus(othersBias!), cast(reshape(e, [H, 1, D]), dtype)), { axes: [3], keepDims: true });
    const everyKey = (): Tensor => but(tensor(new Float32Array(S).fill(1), [S, 1], { device }), S);
    if (segments && others && different) {
      const apart = share(different);
      const { own, alike } = segmentRows(segments, device);
      inQuery.push(but(apart, L), but(mul(sub(share(others), apart), cast(own, dtype)), L));
      ofKeys.push(everyKey(), but(alike, S));
    } else if (others && separateClass) {
      inQuery.push(but(cast(share(others), dtype), L));
      ofKeys.push(everyKey());
    }
    const spread = ofKeys.map((one) => cast(broadcastTo(one, [B, G, S, one.shape.at(-1)!]), dtype));
    return {
      q: concat([plus(contentBias), ...inQuery], { axis: -1 }),
      k: concat([k, ...spread], { axis: -1 }),
    };
  });
}

/** Rows whose product is 1 where two types are alike, else 0: `[B, 1, L, types]` of queries and `[B, 1, S, types]` of keys. */
function segmentRows(
  { types, class: all, ofQueries, ofKeys }: Segments,
  device: Device,
): { readonly own: Tensor; readonly alike: Tensor } {
  const table = (like: (a: number, b: number) => boolean): Tensor =>
    tensor(
      Float32Array.from({ length: types * types }, (_, i) => Number(like(Math.floor(i / types), i % types))),
      [types, types],
      { device },
    );
  const rows = (of: Tensor, like: (a: number, b: number) => boolean): Tensor =>
    reshape(embedding(table(like), of), [of.shape[0]!, 1, of.shape[1]!, types]);
  return {
    own: rows(ofQueries, (a, b) => a === b),
    alike: rows(ofKeys, (a, b) => a === b || a === all || b === all),
  };
}
