import { beforeAll, expect, test } from 'vitest';
import { onEveryTarget } from '../support/targets.js';
import { acrossLanes, cases, everyOperation, results } from './every-operation.js';
import { bitsOf, COUNT, floatLiterals, fromBits, integerLiterals, operandsOf } from './vector-cases.js';

onEveryTarget((target) => {
  const { width } = target;
  const out = new Int32Array(COUNT * cases.length);
  const across = new Int32Array(COUNT * acrossLanes.length);
  const lanes = new Int32Array(2 * width * COUNT);
  const literals = new Int32Array(2 * (floatLiterals.length + integerLiterals.length));

  beforeAll(() => {
    target.run(everyOperation, [...operandsOf.f32, ...operandsOf.i32, out, across, lanes, literals]);
  });

  test('every operation is what JavaScript says', () => {
    const wrong: string[] = [];
    cases.forEach((one, slot) => {
      const { type, lanes, operation } = one;
      const [a, b, c] = operandsOf[type];
      const fused = target.fuses[lanes === 'vector' ? 'vf' : 'f32'];
      for (let i = 0; i < COUNT; i++) {
        if (operation.unspecified?.(a[i]!, b[i]!)) continue;
        const raw = out[slot * COUNT + i]!;
        const [got, want] = [
          results.get(one) === 'f32' ? fromBits(raw) : raw,
          operation.want(a[i]!, b[i]!, c[i]!, { fused, mask: lanes === 'vector' ? -1 : 1 }),
        ];
        const rounded = results.get(one) === 'f32' ? Math.fround(want) : want + 0;
        if (Object.is(got, rounded)) continue;
        wrong.push(`${lanes} ${operation.name} of ${type} ${a[i]}, ${b[i]}, ${c[i]}: got ${got}, want ${rounded}`);
      }
    });
    expect(wrong.slice(0, 20)).toEqual([]);
  });

  test('a float keeps its bits on the way through memory, bits and fromBits', () => {
    const slot = cases.findIndex(({ lanes, operation }) => lanes === 'vector' && operation.name === 'fromBits');
    expect(out.subarray(slot * COUNT, (slot + 1) * COUNT)).toEqual(operandsOf.i32[0]);
  });

  test('reductions fold halves, in the order the builder promises', () => {
    const fold = (values: readonly number[], f: (a: number, b: number) => number): number => {
      const half = values.length / 2;
      return half < 1
        ? values[0]!
        : fold(
            values.slice(0, half).map((a, i) => f(a, values[half + i]!)),
            f,
          );
    };
    const wrong: string[] = [];
    for (let i = 0; i < COUNT; i += width) {
      const a = [...operandsOf.f32[0].subarray(i, i + width)];
      const b = operandsOf.i32[1].subarray(i, i + width);
      const want = [
        bitsOf(fold(a, (x, y) => Math.fround(x + y))),
        bitsOf(fold(a, (x, y) => (x < y ? y : x))),
        bitsOf(fold(a, (x, y) => (y < x ? y : x))),
        Number(b.some((x) => x !== 0)),
        Number(b.some((x) => x === 3)),
      ];
      want.forEach((value, n) => {
        const got = across[i * acrossLanes.length + n]!;
        const alike = Object.is(got, value) || (n < 3 && Number.isNaN(fromBits(got)) && Number.isNaN(fromBits(value)));
        if (!alike) wrong.push(`${acrossLanes[n]} of lanes from ${i}: got ${got}, want ${value}`);
      });
    }
    expect(wrong.slice(0, 20)).toEqual([]);
  });

  test('lane, splat and iota', () => {
    const want: number[] = [];
    for (let i = 0; i < COUNT; i += width) {
      for (let lane = 0; lane < width; lane++) {
        const [a, b] = [operandsOf.f32[0][i + lane]!, operandsOf.i32[1][i + lane]!];
        for (let j = 0; j < width; j++) want.push(bitsOf(a));
        for (let j = 0; j < width; j++) want.push((b + j) | 0);
      }
    }
    // the special NaN is the only one, but a machine may write another
    const same = (got: number, i: number): boolean =>
      got === want[i] || Number.isNaN(fromBits(got) + fromBits(want[i]!));
    expect(lanes.findIndex((got, i) => !same(got, i))).toBe(-1);
  });

  test('literals keep their bits', () => {
    const wanted = [...floatLiterals.map((value) => bitsOf(Math.fround(value))), ...integerLiterals];
    wanted.forEach((want, i) => {
      const got = [...literals.subarray(2 * i, 2 * i + 2)];
      // any NaN will do
      const bits = Number.isNaN(floatLiterals[i]) ? got.map((one) => bitsOf(fromBits(one))) : got;
      expect(bits, `literal ${[...floatLiterals, ...integerLiterals][i]}`).toEqual([want, want]);
    });
  });
});
