// of nn/step-seed

import { expect, test } from 'vitest';
import { words } from '../../src/core/random.js';
import { Dropout, Module } from '../../src/nn/index.js';
import { cast } from '../../src/ops/index.js';
import { disposeAll, gradients, scope, tensor } from '../../src/tensor/index.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice, withThreads } from '../support/devices.js';
import { uniform } from '../support/random.js';

class Two extends Module {
  readonly first: Dropout;
  readonly second: Dropout;

  constructor(rate: number) {
    super();
    this.first = this.child('first', new Dropout(rate));
    this.second = this.child('second', new Dropout(rate));
  }
}

/** Row 0 of the mask, from the generator's definition: word `⌊c/16⌋ mod 4` of block `16·⌊c/64⌋ + c mod 16`. */
function firstRow(seed: number, purpose: string, columns: number, rate: number): number[] {
  const all = words(seed, purpose, 4 * 16 * Math.ceil(columns / 64));
  return Array.from({ length: columns }, (_, c) => {
    const block = 16 * Math.floor(c / 64) + (c % 16);
    return (all[4 * block + (Math.floor(c / 16) % 4)]! >>> 1) / 2 ** 31 < 1 - rate ? 1 : 0;
  });
}

onEveryDevice((on) => {
  const dropped = async (module: Dropout, shape: readonly number[], options = {}): Promise<number[]> => {
    const out = scope(() =>
      module.forward(
        tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1), shape, { device: on.device }),
        options,
      ),
    );
    const data = [...(await out.data())];
    out.dispose();
    return data;
  };

  test.each([1, 15, 64, 131])(
    'what is kept of %i columns follows the generator, times 1/(1 − rate)',
    async (columns) => {
      const { first } = new Two(0.25).train({ seed: 2 ** 40 + 5, step: 3 });
      const got = await dropped(first, [1, columns]);
      const want = firstRow(2 ** 40 + 5, 'dropout 3 first', columns, 0.25).map((kept) =>
        Math.fround(kept * Math.fround(1 / 0.75)),
      );
      expect(got).toEqual(want);
    },
  );

  test('the identity in eval and at rate 0; x itself, not a copy', () => {
    scope(() => {
      const x = tensor([1, 2], [2], { device: on.device });
      expect(new Dropout(0.5).forward(x)).toBe(x);
      expect(new Dropout(0).train({ seed: 1, step: 1 }).forward(x)).toBe(x);
      expect(new Dropout(0.5).train({ seed: 1, step: 1 }).forward(x)).not.toBe(x);
    });
  });

  test('keeps the mean, in every row and column', async () => {
    const [rows, columns, rate] = [512, 96, 0.3];
    const got = await dropped(new Dropout(rate).train({ seed: 9, step: 0 }), [rows, columns]);
    // each mean of n elements deviates by √(rate/(1 − rate)/n); five times that is once in two million
    const bound = (n: number): number => 5 * Math.sqrt(rate / (1 - rate) / n);
    const off = (values: number[]): number => Math.abs(values.reduce((sum, x) => sum + x, 0) / values.length - 1);
    expect(off(got)).toBeLessThan(bound(got.length));
    for (let r = 0; r < rows; r++) expect(off(got.slice(r * columns, (r + 1) * columns))).toBeLessThan(bound(columns));
    for (let c = 0; c < columns; c++) expect(off(got.filter((_, i) => i % columns === c))).toBeLessThan(bound(rows));
  });

  test('the same for the same seed, step and path; another for any other', async () => {
    const at = async (seed: number, step: number, name: 'first' | 'second'): Promise<number[]> =>
      dropped(new Two(0.5).train({ seed, step })[name], [4, 64]);
    const base = await at(1, 1, 'first');
    expect(await at(1, 1, 'first')).toEqual(base);
    for (const other of [at(2, 1, 'first'), at(1, 2, 'first'), at(1, 1, 'second')]) {
      const same = (await other).filter((x, i) => x === base[i]).length;
      // 256 coins: half agree, give or take five deviations of 8
      expect(Math.abs(same - 128)).toBeLessThan(40);
    }
  });

  test('a part of the rows sees its part of the mask', async () => {
    const dropout = new Dropout(0.5).train({ seed: 1, step: 1 });
    const whole = await dropped(dropout, [2, 6, 37]);
    expect(await dropped(dropout, [5, 37], { firstRow: 7 })).toEqual(whole.slice(7 * 37));
  });

  test('the gradient passes where the value did, for 16-bit values too', async () => {
    const { device } = on;
    const dropout = new Dropout(0.4).train({ seed: 3, step: 1 });
    const [ones, x, d] = [await dropped(dropout, [6, 70]), uniform(1, 420), uniform(2, 420)];
    const results = scope(() => {
      const wide = tensor(x, [6, 70], { device, requiresGradient: true });
      const y = dropout.forward(wide);
      const [dx] = gradients([y], [wide], [tensor(d, [6, 70], { device })]);
      const half = tensor(x, [6, 70], { device, dtype: 'f16', requiresGradient: true });
      const z = dropout.forward(half);
      const [dhalf] = gradients([z], [half], [tensor(d, [6, 70], { device })]);
      // what f16 gives is the f32 result of the same numbers, rounded
      return [y, dx!, z, dhalf!, cast(dropout.forward(cast(half, 'f32')), 'f16')];
    });
    const [y, dx, z, dhalf, want] = await Promise.all(results.map((one) => one.data()));
    expectSameBits(
      'y',
      y!,
      x.map((value, i) => (ones[i] === 0 ? 0 : value * ones[i]!)),
    );
    expectSameBits(
      'dx',
      dx!,
      d.map((value, i) => (ones[i] === 0 ? 0 : value * ones[i]!)),
    );
    expectSameBits('dx of f16', dhalf!, dx!);
    expect(results[2]!.dtype).toBe('f16');
    expectSameBits('f16', z!, want!);
    disposeAll(results);
  });

  test('bits do not depend on the number of threads', async () => {
    const x = uniform(1, 3000 * 20);
    const [one, three] = await withThreads(on.kind, [1, 3], async (device) => {
      const dropout = new Dropout(0.5).train({ seed: 3, step: 1 });
      const y = scope(() => dropout.forward(tensor(x, [3000, 20], { device })));
      const data = await y.data();
      y.dispose();
      return data;
    });
    expectSameBits('3 threads', three!, one!);
  });

  test('refusals', () => {
    expect(() => new Dropout(1)).toThrow('Dropout: rate must be a number from 0 to below 1; got 1.');
    expect(() => new Dropout(NaN)).toThrow('got NaN');
    scope(() => {
      const x = tensor(Int32Array.of(1), [1], { device: on.device });
      expect(() => new Dropout(0.5).train({ seed: 1, step: 1 }).forward(x)).toThrow('takes f32, f16 or bf16; got i32');
    });
  });
});
