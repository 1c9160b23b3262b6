import { expect, test } from 'vitest';
import { toBf16, toF16 } from '../../src/core/dtype.js';
import { findNonFinite, findNonFiniteIn, finiteParameters } from '../../src/kernels/finite.js';
import { uniform } from '../support/random.js';
import { onEveryTarget } from '../support/targets.js';

const UNTOUCHED = 9;

onEveryTarget((target) => {
  /** The flags of numbers that are followed by NaN which nobody may look at. */
  const flagsOf = (numbers: Float32Array, chunk: number): number[] => {
    const tasks = Math.ceil(numbers.length / chunk) + 2;
    const x = new Float32Array(numbers.length + 2 * chunk).fill(NaN);
    x.set(numbers);
    const flags = new Int32Array(tasks).fill(UNTOUCHED);
    expect(finiteParameters.kinds).toEqual(findNonFinite.parameters);
    target.run(findNonFinite, [x, numbers.length, chunk, flags], { end: tasks });
    return [...flags];
  };

  test('flags are left alone where everything is finite', () => {
    for (const count of [0, 1, 63, 64, 65, 200]) {
      const numbers = uniform(1, count, -1e38, 1e38).map((x, i) => [x, 3.4028235e38, -3.4028235e38, 1e-45, -0][i % 5]!);
      expect(new Set(flagsOf(numbers, 64))).toEqual(new Set([UNTOUCHED]));
    }
  });

  test('one NaN or infinity anywhere sets the flag of its chunk only', () => {
    for (const [count, chunk] of [
      [200, 64],
      [331, 128],
      [64, 64],
      [5, 64],
    ] as const) {
      const numbers = uniform(2, count);
      for (let at = 0; at < count; at++) {
        const bad = numbers.slice();
        bad[at] = [NaN, Infinity, -Infinity][at % 3]!;
        const want = flagsOf(numbers, chunk).fill(UNTOUCHED);
        want[Math.floor(at / chunk)] = 1;
        expect(flagsOf(bad, chunk), `${bad[at]} at ${at} of ${count}, chunks of ${chunk}`).toEqual(want);
      }
    }
  });

  test.each([
    ['f16', toF16, 65504],
    ['bf16', toBf16, 3.38e38],
  ] as const)('%s: what is stored in 16 bits is looked at as it is', (dtype, stored, largest) => {
    const [count, chunk] = [147, 64];
    const run = (numbers: Float32Array): number[] => {
      const x = new Uint16Array(4 * chunk).fill(stored(NaN));
      x.set(Uint16Array.from(numbers, stored));
      const flags = new Int32Array(3).fill(UNTOUCHED);
      target.run(findNonFiniteIn(dtype), [x, count, chunk, flags], { end: 3 });
      return [...flags];
    };
    const numbers = uniform(4, count).map((x, i) => [x, largest, -largest, 2 ** -24, -0][i % 5]!);
    expect(run(numbers)).toEqual([UNTOUCHED, UNTOUCHED, UNTOUCHED]);
    for (const [i, at] of [0, 63, 64, 101, 146].entries()) {
      const want = [UNTOUCHED, UNTOUCHED, UNTOUCHED];
      want[Math.floor(at / chunk)] = 1;
      const bad = numbers.slice();
      bad[at] = [NaN, Infinity, -Infinity][i % 3]!;
      expect(run(bad)).toEqual(want);
    }
  });

  test('infinities of both signs do not cancel', () => {
    const numbers = uniform(3, 256);
    for (let at = 0; at < 64; at++) numbers[at] = at % 2 === 0 ? Infinity : -Infinity;
    expect(flagsOf(numbers, 64)).toEqual([1, ...new Array<number>(5).fill(UNTOUCHED)]);
  });
});
