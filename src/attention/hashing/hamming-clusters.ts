import { constant, select, variable, type F32 } from '../../codegen/expression/index.js';
import { argmax, gatherRows, map, matmul, scatterRows } from '../../ops/index.js';
import { full, scope, tensor, type Tensor } from '../../tensor/index.js';
import { realKeys } from '../real-keys.js';

export interface HammingOptions {
  /** Normals of the planes `[D,bits]`, and how far from the origin they lie `[bits]`. */
  readonly planes: Tensor;
  readonly offsets: Tensor;
  /** Where in its stretch of the sequence each centroid starts, `[clusters]` of [0, 1). */
  readonly starts: Tensor;
  /** What an empty cluster becomes, by its signs, `[clusters,bits]`. */
  readonly spares: Tensor;
  /** Assignments; the centroids move between them. */
  readonly iterations: number;
  /** Tokens of each batch row; the others belong to no cluster, whatever their number says. */
  readonly lengths: readonly number[] | undefined;
}

const [x0, x1, x2] = [0, 1, 2].map((i) => variable(`x${i}`, 'f32')) as [F32, F32, F32];
const sign = select(x0.gt(x1), constant(1, 'f32'), -1);
const start = x0.add(x1.mul(x2).floor()).toI32();
/** The sign that most members have; at a tie −1. */
const majority = select(x1.eq(0), select(x2.gt(0), constant(1, 'f32'), -1), select(x0.gt(0), constant(1, 'f32'), -1));

/**
 * The cluster of each row of `x` `[B,H,n,D]`, i32 `[B,H,n]`, by Lloyd's iterations over the sides of random planes: the nearest centroid
 * has the most signs in common (of several the first), and a centroid has the signs that most of its rows have. Signs are ±1, so that
 * both are products of matrices: a·b is bits − 2·Hamming distance. (Vyas, Katharopoulos, Fleuret 2020, arXiv:2007.04825, section 3.2.)
 */
export function hammingClusters(x: Tensor, own: HammingOptions): Tensor {
  const { planes, offsets, starts, spares, iterations, lengths } = own;
  const [B, H, n] = x.shape as [number, number, number];
  const clusters = starts.shape[0]!;
  const { device } = x;
  return scope(() => {
    const signs = realKeys(map(sign, matmul(x, planes), offsets), lengths);
    const ones = realKeys(full([B, H, n, 1], 1, { device }), lengths);
    // stretches of as equal numbers of tokens as there can be; where there are fewer tokens than clusters, some have none
    const edge = (b: number, c: number): number => Math.floor((c * (lengths?.[b] ?? n)) / clusters);
    const width = (b: number, c: number): number => edge(b, c + 1) - edge(b, c);
    const table = (heads: number, value: (b: number, c: number) => number): Float32Array =>
      Float32Array.from({ length: B * heads * clusters }, (_, i) =>
        value(Math.floor(i / (heads * clusters)), i % clusters),
      );
    const first = tensor(
      table(H, (b, c) => Math.min(n - 1, edge(b, c))),
      [B, H, clusters],
      { device },
    );
    const widths = tensor(table(1, width), [B, 1, clusters], { device });
    const few = lengths?.some((length) => length < clusters) === true;
    const bars = few
      ? tensor(
          table(1, (b, c) => (width(b, c) === 0 ? -Infinity : 0)),
          [B, 1, clusters, 1],
          { device },
        )
      : undefined;
    // what all compares with all is large, and gone before the next
    const assign = (centroids: Tensor): Tensor =>
      scope(() => {
        const common = matmul(centroids, signs, { transposeB: true });
        return argmax(bars ? map(x0.add(x1), common, bars) : common, { axis: 2 });
      });
    let nearest = assign(gatherRows(signs, map(start, first, starts, widths)));
    for (let i = 1; i < iterations; i++) {
      const [sums, sizes] = [scatterRows(signs, nearest, clusters), scatterRows(ones, nearest, clusters)];
      nearest = assign(map(majority, sums, sizes, spares));
    }
    return nearest;
  });
}
