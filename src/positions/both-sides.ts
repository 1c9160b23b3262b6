import { add, mul, neg } from '../ops/arithmetic.js';
import { cast } from '../ops/cast.js';
import { matmul } from '../ops/matmul.js';
import { sum } from '../ops/reduce.js';
import { broadcastTo, concat, reshape, split } from '../ops/shape.js';
import { scope, tensor, type Tensor } from '../tensor/index.js';
import { ropeAngles } from './angles.js';
import { rope } from './rope.js';
import type { RelativeParameters } from './transformer-xl.js';

/** What the heads of one layer learn where keys lie on both sides of the query. */
export interface BothSidesParameters extends RelativeParameters {
  /** e `[H, D]`: the product with it is a row's share in all that is no class row. */
  readonly others?: Tensor | undefined;
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
}

/**
 * The terms of Transformer-XL for distances of both signs, as longer queries and keys: attention to them with scale `s` has the scores
 * `s · ((q_i + u)·k_j + c_ij ((q_i + v)·(W_R R_{p_i − p_j}) + (q_i + t)·e))`, `c_ij` 0 where i or j is the class row, else 1; the last term
 * where there are parameters for it. `q` `[B,H,L,D]`, `k` `[B,G,S,D]` → `[B,H,L,D + M]` and `[B,G,S,D + M]`, one more with e.
 *
 * By the sum of angles the second term is a product of a row that the query makes and one that is the key's position, so no table of
 * distances is made. (Dai et al. 2019, arXiv 1901.02860; with a class row: Dai et al. 2020, arXiv 2006.03236.)
 *
 * @internal
 */
export function bothSides(
  q: Tensor,
  k: Tensor,
  { weight, contentBias, positionBias, others, othersBias }: BothSidesParameters,
  { queries, keys, separateClass }: BothSidesOptions,
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
    if (others && othersBias) {
      const share = sum(mul(plus(othersBias), cast(reshape(others, [H, 1, D]), dtype)), { axes: [3], keepDims: true });
      inQuery.push(but(cast(share, dtype), L));
      ofKeys.push(but(tensor(new Float32Array(S).fill(1), [S, 1], { device }), S));
    }
    const columns = ofKeys.reduce((all, one) => all + one.shape[1]!, 0);
    const beside = cast(concat(ofKeys, { axis: -1 }), dtype);
    return {
      q: concat([plus(contentBias), ...inQuery], { axis: -1 }),
      k: concat([k, broadcastTo(beside, [B, G, S, columns])], { axis: -1 }),
    };
  });
}
