import { expect, test } from 'vitest';
import { defineAttention, number, registerMechanism } from '../../src/attention/index.js';
import { defineKernel, gradients, scope, tensor, type Tensor } from '../../src/index.js';
import { createModel, readConfig } from '../../src/models/index.js';
import { constantRate, rehearseTraining, sgd, Trainer } from '../../src/train/index.js';
import { disposeAll } from '../../src/tensor/index.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { onEveryDevice, openDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';

/** `out_i = decay · out_i−1 + v_i` over the rows of each task, or from the last row up. */
const decayed = defineKernel({
  name: 'decayed sum',
  parameters: { v: 'pointer', length: 'i32', columns: 'i32', upwards: 'i32', decay: 'f32' },
  cpu: (k, { v, out, length, columns, upwards, decay }) => {
    const factor = k.splat(decay);
    k.loop(k.begin, k.end, (task) => {
      k.loop(
        0,
        columns,
        (column) => {
          const count = k.min(k.sub(columns, column), k.width);
          const sum = k.variable('vf', 0);
          k.loop(0, length, (i) => {
            const row = k.add(k.mul(task, length), k.select(upwards, k.sub(k.sub(length, 1), i), i));
            const at = (base: typeof out) => k.offset(k.offset(base, row, k.mul(columns, 4)), column, 4);
            k.assign(sum, k.fma(sum, factor, k.loadVF(at(v), 0, count)));
            k.store(at(out), sum, 0, count);
          });
        },
        k.width,
      );
    });
  },
});

function sumOf(v: Tensor, decay: number, upwards: 0 | 1 = 0): Tensor {
  const [B, H, length, columns] = v.shape as [number, number, number, number];
  return decayed({
    given: { v, length, columns, upwards, decay },
    shape: v.shape,
    tasks: B * H,
    // the transpose goes the other way
    gradient: (d) => ({ v: sumOf(d, decay, upwards === 0 ? 1 : 0) }),
  });
}

const fading = defineAttention({
  name: 'fading',
  family: 'kernel-methods',
  summary: 'A sum of the values so far that fades.',
  paper: { authors: 'Nobody', title: 'None', year: 2026 },
  formula: 'out_i = Σ_j≤i decay^(i − j) v_j',
  complexity: 'n·d',
  exactness: 'learned',
  options: { decay: number({ min: 0, max: 1, default: 0.5, help: 'what is left of a sum after a token' }) },
  supports: { causal: 'only', cross: false, padding: false, score: false, groupedHeads: false, decode: false },
  cost: () => ({ multiplyAdds: 0 }),
  forward: ({ v, options: { decay } }) => ({ out: sumOf(v, decay) }),
});

const shape = [2, 3, 7, 5];
const size = 210;

/** In float64, by rows of every head. */
function formula(v: ArrayLike<number>, decay: number, upwards = false): Float64Array {
  const out = Float64Array.from(v);
  for (let head = 0; head < 6; head++) {
    for (let i = 1; i < 7; i++) {
      const [row, before] = upwards ? [6 - i, 7 - i] : [i, i - 1];
      for (let c = 0; c < 5; c++) out[35 * head + 5 * row + c]! += decay * out[35 * head + 5 * before + c]!;
    }
  }
  return out;
}

onEveryDevice((on) => {
  test('a mechanism with a kernel of its own: values and gradients, for every number of threads', async () => {
    const [data, d] = [uniform(1, size), uniform(2, size)];
    const results = async (device = on.device): Promise<Float32Array[]> => {
      const all = scope(() => {
        const v = tensor(data, shape, { device, requiresGradient: true });
        const { out } = fading.run(v, v, v, { decay: 0.75 });
        return [out, ...gradients([out], [v], [tensor(d, shape, { device })])];
      });
      const numbers = await Promise.all(all.map((one) => one.data()));
      disposeAll(all);
      return numbers as Float32Array[];
    };
    const [out, dv] = await results();
    // at most 7 sums of numbers below 4
    expectClose('out', out!, formula(data, 0.75), { budget: 14 * 4 * 2 ** -24 });
    expectClose('dv', dv!, formula(d, 0.75, true), { budget: 14 * 4 * 2 ** -24 });
    const single = (await openDevice(on.kind, { threads: 1 }))!;
    expectSameBits('one thread', (await results(single))[1]!, dv!);
    await single.dispose();
  });

  test('it trains in a model, and the rehearsal knows its bytes and kernels', async () => {
    const forget = registerMechanism(fading);
    const config = readConfig({ vocabulary: 10, width: 8, heads: 2, length: 6, layers: 2, mechanism: 'fading' });
    const model = createModel(config).initialise({ device: on.device, seed: 1 });
    const batches = {
      batchSize: 1,
      length: 6,
      batch: () => Int32Array.of(3, 1, 4, 1, 5, 9, 2),
      startsAnew: () => true,
    };
    const trainer = new Trainer({ device: on.device, model, optimiser: sgd, schedule: constantRate(0.3), batches });
    const first = await trainer.step();
    const second = await trainer.step();
    expect(second.loss).toBeLessThan(first.loss);
    const foretold = await rehearseTraining(config, { batchSize: 1, like: on.device.info, optimiser: sgd });
    expect(foretold.kernels.map(({ name }) => name)).toContain('own decayed sum');
    expect(second.peakBytes).toBe(foretold.peakBytes);
    trainer.dispose();
    model.dispose();
    forget();
  });

  test('what a kernel does not take is refused', () => {
    scope(() => {
      const v = tensor(uniform(1, size), shape, { device: on.device });
      const given = { v, length: 7, columns: 5, upwards: 0, decay: 0.5 };
      expect(() => decayed({ given: { ...given, length: 0.5 }, shape, tasks: 6 })).toThrow(
        'decayed sum: length must be a whole number; got 0.5',
      );
      expect(() => decayed({ given: { ...given, v: 3 as never }, shape, tasks: 6 })).toThrow(
        'v must be an f32 tensor; got 3',
      );
      expect(() => decayed({ given, shape: [0.5], tasks: 6 })).toThrow('shape');
      expect(() => decayed({ given, shape, tasks: 0 })).toThrow('tasks must be');
    });
  });
});

test('a definition is whole', () => {
  expect(() => defineKernel({ name: 'x', parameters: { out: 'pointer' }, cpu: () => undefined })).toThrow(
    'without out',
  );
  expect(() => defineKernel({ name: 'x', parameters: { n: 'i32' }, cpu: () => undefined })).toThrow('needs a tensor');
});
