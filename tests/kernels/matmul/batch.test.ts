import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchRuns } from '../../../src/kernels/matmul/batch.js';

const size = (shape: readonly number[]): number => shape.reduce((x, y) => x * y, 1);

/** The matrix of an operand that belongs to each matrix of the result. */
function oracle(out: readonly number[], shape: readonly number[]): number[] {
  return Array.from({ length: size(out) }, (_, index) => {
    let [rest, at, step] = [index, 0, 1];
    for (let axis = out.length - 1; axis >= 0; axis--) {
      const extent = shape[shape.length - out.length + axis] ?? 1;
      if (extent > 1) at += (rest % out[axis]!) * step;
      step *= extent;
      rest = Math.floor(rest / out[axis]!);
    }
    return at;
  });
}

// axes of the result, and whether each operand has them or repeats along them
const axes = fc.array(
  fc.record({ extent: fc.integer({ min: 1, max: 4 }), repeats: fc.constantFrom<'a' | 'b' | 'none'>('a', 'b', 'none') }),
  { maxLength: 6 },
);

test('every matrix of the result meets those that broadcasting gives it', () =>
  fc.assert(
    fc.property(axes, fc.nat(3), (list, dropped) => {
      const out = list.map(({ extent }) => extent);
      const shapeOf = (which: 'a' | 'b'): number[] =>
        list.map(({ extent, repeats }) => (repeats === which ? 1 : extent));
      const a = shapeOf('a');
      // leading axes of extent 1 may be missing
      const b = shapeOf('b');
      for (let i = 0; i < dropped && b[0] === 1; i++) b.shift();
      const found: [number, number][] = [];
      for (const run of batchRuns(out, a, b)) {
        expect(run.outFirst).toBe(found.length);
        for (let i = 0; i < run.count; i++) {
          found.push([
            run.aFirst + (Math.floor(i / run.a.div) % run.a.mod),
            run.bFirst + (Math.floor(i / run.b.div) % run.b.mod),
          ]);
        }
      }
      expect(found.map(([x]) => x)).toEqual(oracle(out, a));
      expect(found.map(([, x]) => x)).toEqual(oracle(out, b));
    }),
    { seed: 1, numRuns: 400 },
  ));

test('the shapes of attention and of linear layers are one run', () => {
  expect(batchRuns([2, 12], [2, 12], [2, 12])).toHaveLength(1);
  expect(batchRuns([2, 12], [2, 12], [])).toHaveLength(1);
  expect(batchRuns([2, 12], [2, 12], [2, 1])).toHaveLength(1);
  expect(batchRuns([2, 12], [12], [2, 1])).toHaveLength(1);
});
