import { expect } from 'vitest';
import { randomized } from '../../../src/attention/kernel-methods/index.js';
import { attend } from '../../../src/ops/index.js';
import { disposeAll, scope, tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import * as oracles from '../../oracles/randomized.js';
import { onEveryDevice, type OnDevice } from '../../support/devices.js';
import { sweep } from '../../support/full.js';
import { normal } from '../../support/random.js';

gate(randomized, {
  oracle: oracles.randomized,
  options: [
    {},
    { numSamples: 2, antithetic: true, scaling: 'released' },
    { proposal: 'expected', noise: false },
    { proposal: 'mean', numSamples: 2 },
  ],
  nanSpreads: { future: 'means of keys are plain products with weights of 0' },
  refused: [{ options: { antithetic: true, noise: false } }, { options: { maxLength: 5 } }, { shape: { D: 256 } }],
  draw: (next) => {
    const noise = next() < 0.7;
    return {
      numSamples: 1 + Math.floor(3 * next()),
      proposal: (['sampled', 'expected', 'mean'] as const)[Math.floor(3 * next())]!,
      noise,
      antithetic: noise && next() < 0.5,
      scaling: next() < 0.5 ? 'theory' : 'released',
    };
  },
});

const mean = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0) / x.length;

/** Differences from exact attention of a small problem, a row of numbers for each seed. */
async function differences({ device }: OnDevice, numSamples: number, seeds: number): Promise<number[][]> {
  const [n, D] = [6, 4];
  const qkv = [1, 2, 3].map((seed) => tensor(normal(seed, n * D), [1, 1, n, D], { device }));
  const [q, k, v] = qkv as [(typeof qkv)[0], (typeof qkv)[0], (typeof qkv)[0]];
  const exact = scope(() => attend(q, k, v).out);
  const want = await exact.data();
  const found: number[][] = [];
  for (let seed = 0; seed < seeds; seed++) {
    const out = scope(() => randomized.run(q, k, v, { numSamples, seed }).out);
    found.push(Array.from(await out.data(), (x, i) => x - want[i]!));
    out.dispose();
  }
  disposeAll([qkv, exact]);
  return found;
}

onEveryDevice((on) => {
  sweep('the mean over seeds is exact attention, the squared error falls as 1/samples', async () => {
    const counts = [1, 4, 16];
    const errors: number[] = [];
    for (const count of counts) {
      const found = await differences(on, count, 600);
      errors.push(Math.log(mean(found.flat().map((x) => x * x))));
      const scores = found[0]!.map((_, i) => {
        const numbers = found.map((row) => row[i]!);
        const deviation = Math.sqrt(mean(numbers.map((x) => (x - mean(numbers)) ** 2)) / numbers.length);
        return mean(numbers) / deviation;
      });
      // 24 numbers, of which few are near 3 standard errors, and their squares are 1 in the mean
      expect(mean(scores.map((x) => x * x))).toBeLessThan(1 + 3 * Math.sqrt(2 / scores.length));
    }
    const slope = (errors.at(-1)! - errors[0]!) / (Math.log(counts.at(-1)!) - Math.log(counts[0]!));
    expect(Math.abs(slope + 1)).toBeLessThan(0.1);
  });
});
