import { describe, expect, test } from 'vitest';
import { performer } from '../../../src/attention/kernel-methods/index.js';
import { normalOf, orthogonalRows, type CallOptions } from '../../../src/attention/index.js';
import { attend } from '../../../src/ops/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { onEveryDevice, type OnDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';

const mean = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0) / x.length;

/** The slope of a line through points by least squares. */
function slopeOf(x: readonly number[], y: readonly number[]): number {
  const [mx, my] = [mean(x), mean(y)];
  const products = x.map((value, i) => (value - mx) * (y[i]! - my));
  return mean(products) / mean(x.map((value) => (value - mx) ** 2));
}

interface Measured {
  /** Mean squared error against exact attention, the mean over seeds. */
  readonly error: number;
  /** Cosine of the angle between the two outputs as long vectors. */
  readonly cosine: number;
}

/** Attention of n normal rows of size d times `factor`, as a Performer computes it with some seeds. */
class Trial {
  readonly #tensors: readonly [Tensor, Tensor, Tensor];
  readonly #exact: Float32Array;
  /** The error of predicting the mean of all values. */
  readonly uniform: number;

  private constructor(tensors: readonly [Tensor, Tensor, Tensor], exact: Float32Array, v: Float32Array) {
    this.#tensors = tensors;
    this.#exact = exact;
    const d = tensors[2].shape[3]!;
    const average = Array.from({ length: d }, (_, e) => mean(Array.from(v).filter((_, i) => i % d === e)));
    this.uniform = mean(Array.from(exact, (x, i) => (x - average[i % d]!) ** 2));
  }

  static async of({ device }: OnDevice, n: number, d: number, factor: number): Promise<Trial> {
    const data = [1, 2, 3].map((seed) => normal(seed, n * d, seed === 3 ? 1 : factor));
    const tensors = data.map((x) => tensor(x, [1, 1, n, d], { device })) as unknown as readonly [
      Tensor,
      Tensor,
      Tensor,
    ];
    const { out, logsumexp } = attend(...tensors);
    const exact = (await out.data()) as Float32Array;
    disposeAll([out, logsumexp]);
    return new Trial(tensors, exact, data[2]!);
  }

  async measure(seeds: number, options: CallOptions<typeof performer.definition.options>): Promise<Measured> {
    const runs: Measured[] = [];
    for (let seed = 0; seed < seeds; seed++) {
      const out = scope(() => performer.run(...this.#tensors, { ...options, seed }).out);
      const got = await out.data();
      out.dispose();
      let [error, dot, ours, theirs] = [0, 0, 0, 0];
      this.#exact.forEach((x, i) => {
        error += (got[i]! - x) ** 2;
        dot += got[i]! * x;
        ours += got[i]! ** 2;
        theirs += x * x;
      });
      runs.push({ error: error / got.length, cosine: dot / Math.sqrt(ours * theirs) });
    }
    return { error: mean(runs.map((x) => x.error)), cosine: mean(runs.map((x) => x.cosine)) };
  }

  dispose(): void {
    disposeAll(this.#tensors);
  }
}

onEveryDevice((on) => {
  // statistics of the features, not of the device; each number of them is kernels to compile natively
  const native = on.kind === 'native';

  test.skipIf(native)('the squared error of independent features falls as 1/M', async () => {
    const trial = await Trial.of(on, 64, 16, 0.25);
    const counts = [32, 64, 128, 256, 512];
    const errors: number[] = [];
    for (const numFeatures of counts) {
      errors.push((await trial.measure(60, { numFeatures, orthogonal: false })).error);
    }
    trial.dispose();
    const slope = slopeOf(counts.map(Math.log), errors.map(Math.log));
    expect(slope).toBeGreaterThan(-1.1);
    expect(slope).toBeLessThan(-0.9);
  });

  test.skipIf(native)('orthogonal features err less than independent ones', async () => {
    const trial = await Trial.of(on, 64, 16, 0.25);
    const [together, apart] = [
      await trial.measure(40, { numFeatures: 64 }),
      await trial.measure(40, { numFeatures: 64, orthogonal: false }),
    ];
    trial.dispose();
    expect(together.error).toBeLessThan(0.8 * apart.error);
  });

  // the table of the specification, G.1, on other numbers of the same distribution: n = 512, d = 64
  test.skipIf(native)('at unit variance and d = 64 the mean of all values is a better guess', async () => {
    const trial = await Trial.of(on, 512, 64, 1);
    const { error } = await trial.measure(2, { numFeatures: 256 });
    trial.dispose();
    expect(error).toBeGreaterThan(4 * trial.uniform);
  });

  test.skipIf(native)('the common mistake has a floor that features do not lower', async () => {
    const trial = await Trial.of(on, 512, 64, 1);
    const some = await trial.measure(4, { numFeatures: 256, features: 'naiveExp' });
    const many = await trial.measure(2, { numFeatures: 2048, features: 'naiveExp' });
    trial.dispose();
    expect(many.error).toBeGreaterThan(0.9 * some.error);
    // exp(1.125²/2) / √(e²·e^(1/32)) = 0.682 for long sequences
    expect(many.cosine).toBeGreaterThan(0.6);
    expect(many.cosine).toBeLessThan(0.75);
  });
});

describe('the kernel exp(x·y) is estimated without bias', () => {
  test.each([
    ['independent', normalOf()],
    ['orthogonal', orthogonalRows],
  ] as const)('%s features', (_, init) => {
    const d = 4;
    const blocks = 20_000;
    const w = init([blocks * d, d], 5, 'test');
    for (const seed of [1, 2, 3]) {
      const [x, y] = [normal(seed, d, 0.6), normal(seed + 10, d, 0.6)];
      const dot = (a: ArrayLike<number>, b: ArrayLike<number>, at = 0): number =>
        Array.from({ length: d }, (_, c) => a[at + c]! * b[c]!).reduce((p, q) => p + q, 0);
      const both = x.map((value, c) => value + y[c]!);
      const shift = (dot(x, x) + dot(y, y)) / 2;
      // rows of a block are not independent: blocks are
      const means = Array.from({ length: blocks }, (_, block) =>
        mean(Array.from({ length: d }, (_, row) => Math.exp(dot(w, both, (block * d + row) * d) - shift))),
      );
      const average = mean(means);
      const deviation = Math.sqrt(mean(means.map((value) => (value - average) ** 2)) / blocks);
      expect(Math.abs(average - Math.exp(dot(x, y)))).toBeLessThan(4 * deviation);
    }
  });
});
