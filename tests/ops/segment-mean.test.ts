import { expect, test } from 'vitest';
import { segmentMax, segmentMean } from '../../src/ops/segment-mean.js';
import { scope, tensor } from '../../src/tensor/index.js';
import type { Numbers } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { checkOperation, type Round } from '../support/operation.js';
import { uniform } from '../support/random.js';

/** First row of each segment of `n` rows, and n: the first (s + 1)·m − n segments have s = ⌊n/m⌋ rows, the others s + 1. */
function bounds(n: number, m: number): number[] {
  const s = Math.floor(n / m);
  const starts = [0];
  for (let i = 0; i < m; i++) starts.push(starts.at(-1)! + (i < (s + 1) * m - n ? s : s + 1));
  return starts;
}

/** Visits the numbers of x `[matrices, n, D]` that belong to each of the m·D means of each matrix. */
function each(
  [matrices, n, D]: readonly [number, number, number],
  m: number,
  lengths: readonly number[],
  visit: (out: number, at: number, count: number) => void,
): void {
  for (let matrix = 0; matrix < matrices; matrix++) {
    const starts = bounds(lengths[Math.floor((matrix * lengths.length) / matrices)]!, m);
    for (let i = 0; i < m; i++)
      for (let c = 0; c < D; c++)
        for (let row = starts[i]!; row < starts[i + 1]!; row++)
          visit((matrix * m + i) * D + c, (matrix * n + row) * D + c, starts[i + 1]! - starts[i]!);
  }
}

onEveryDevice((on) => {
  test.each([
    [[6, 1, 4], 6, undefined],
    [[1, 12, 5], 4, undefined],
    [[3, 13, 7], 5, undefined],
    [[1, 1, 3], 1, undefined],
    [[4, 11, 2], 10, undefined],
    [[2, 30, 8], 7, [30, 7]],
    [[4, 30, 8], 4, [9, 30]],
    [[4, 30, 8], 4, [20, 20]],
  ] as const)('%j in %i segments, lengths %j', async (shape, wanted, lengths) => {
    const [matrices, n, D] = shape;
    const m = Math.min(wanted, n);
    const batch = lengths?.length ?? 1;
    const sizes = lengths ?? [n];
    const forward = (r: Round, x: Numbers): Float64Array => {
      const [sums, counts] = [new Float64Array(matrices * m * D), new Float64Array(matrices * m * D)];
      each(shape, m, sizes, (out, at, count) => {
        sums[out] = r(sums[out]! + x[at]!);
        counts[out] = count;
      });
      return sums.map((sum, i) => r(sum / counts[i]!));
    };
    await checkOperation(on.device, {
      name: 'segmentMean',
      shapes: [[batch, matrices / batch, n, D]],
      run: (x) => segmentMean(x, m, lengths && { lengths }),
      forward,
      backward: (r, d) => {
        const dx = new Float64Array(matrices * n * D);
        each(shape, m, sizes, (out, at, count) => (dx[at] = r(d[out]! / count)));
        return [dx];
      },
    });
  });

  test('segmentMax: values and gradients', async () => {
    const [shape, m] = [[4, 30, 8] as const, 7];
    const lengths = [23, 30];
    /** The first place of the largest number of each segment's column. */
    const places = (x: Numbers): Int32Array => {
      const best = new Int32Array(4 * m * 8).fill(-1);
      each(shape, m, lengths, (out, at) => {
        if (best[out]! < 0 || x[at]! > x[best[out]!]!) best[out] = at;
      });
      return best;
    };
    await checkOperation(on.device, {
      name: 'segmentMax',
      shapes: [[2, 2, 30, 8]],
      run: (x) => segmentMax(x, m, { lengths }),
      forward: (_, x) => Float64Array.from(places(x), (at) => x[at]!),
      backward: (_, d, x) => {
        const dx = new Float64Array(4 * 30 * 8);
        places(x).forEach((at, out) => (dx[at] = d[out]!));
        return [dx];
      },
    });
  });

  test('what it refuses', () =>
    scope(() => {
      const x = tensor(uniform(1, 12), [2, 3, 2], { device: on.device });
      expect(() => segmentMean(x, 4)).toThrow('m must be a whole number from 1 to 3, the rows there are (x=[2,3,2])');
      expect(() => segmentMean(x, 2, { lengths: [3, 1] })).toThrow('from 1 to 1');
      expect(() => segmentMean(x, 1, { lengths: [3] })).toThrow('lengths must be [B]');
      expect(() => segmentMean(x, 1, { lengths: [3, 4] })).toThrow('lengths must be whole numbers from 1 to n=3');
      expect(() => segmentMean(tensor([1], [1], { device: on.device }), 1)).toThrow('x must be [...,n,D]; got [1]');
    }));
});
