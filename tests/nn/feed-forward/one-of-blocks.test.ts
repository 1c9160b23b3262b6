import { expect, test } from 'vitest';
import { OneOfBlocks, scaling, type OneOfBlocksOptions } from '../../../src/nn/feed-forward/one-of-blocks.js';
import { oneHot, straightThrough } from '../../../src/nn/feed-forward/straight-through.js';
import { mul, softmax } from '../../../src/ops/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { oneOfBlocks, type Blocks } from '../../oracles/one-of-blocks.js';
import { expectClose, expectSameBits } from '../../support/compare.js';
import { onEveryDevice, withThreads } from '../../support/devices.js';
import { uniform } from '../../support/random.js';
import { checkModule, fill, resultsOf } from '../check.js';
import { gumbelNoise } from './gumbel.js';
import { activated, affine } from '../formulas.js';

const [features, hidden] = [5, 12];
const small: OneOfBlocksOptions = { block: 4, rank: 3, temperature: 0.5, quantProb: 0, activation: 'relu' };
const step = { seed: 3, step: 2 };
onEveryDevice((on) => {
  const check = (
    rows: number,
    options: Partial<OneOfBlocksOptions>,
    blocks: Omit<Blocks, 'block'>,
    training: boolean,
  ) => {
    const own = { ...small, ...options };
    const module = new OneOfBlocks(features, hidden, own);
    if (training) module.train(step);
    return checkModule(on.device, {
      name: `${rows} rows, ${JSON.stringify(options)}`,
      module,
      shape: [rows, features],
      run: (layer, x) => layer.forward(x),
      oracle: (g, x, p) => oneOfBlocks(g, x, p, { block: own.block, ...blocks }),
    });
  };

  test('values and gradients: trained by the weights of all units', () => check(7, {}, { mask: 'soft' }, true));

  test('values and gradients: trained by one unit of a block, chosen with noise', async () => {
    // the purpose is that of a module without a parent
    const place = { seed: step.seed, purpose: `OneOfBlocks ${step.step} ` };
    const noise = (await gumbelNoise(on.device, [7, hidden], place)).map((one) => 0.5 * one);
    await check(7, { quantProb: 1 }, { mask: 'through', noise }, true);
    await check(7, { quantProb: 1, temperature: 0 }, { mask: 'through' }, true);
  });

  test('values and gradients outside of training: few rows gather their units, many compute all', async () => {
    for (const rows of [1, 15, 16]) await check(rows, {}, { mask: 'hard' }, false);
    await check(17, { block: 12, rank: 1 }, { mask: 'hard' }, false);
  });

  test('with blocks of one unit it is dense', async () => {
    for (const training of [true, false]) {
      const module = new OneOfBlocks(features, hidden, { ...small, block: 1, quantProb: 0.5 });
      if (training) module.train(step);
      await checkModule(on.device, {
        name: 'dense',
        module,
        shape: [4, features],
        run: (layer, x) => layer.forward(x),
        // the controller has no say, and no gradient
        oracle: (g, x, p) => affine(g, activated(g, 'relu', g.matmulT(x, p('up'))), p('down'), p('bias')),
      });
    }
  });

  test('noise is of the Gumbel distribution, of every unit its own', async () => {
    const noise = await gumbelNoise(on.device, [400, 100], { seed: 1, purpose: 'gumbel' });
    const mean = noise.reduce((sum, x) => sum + x, 0) / noise.length;
    const variance = noise.reduce((sum, x) => sum + (x - mean) ** 2, 0) / noise.length;
    // Euler's constant and π²/6; deviations of the means of 40,000 are 0.0064 and 0.017
    expect(Math.abs(mean - 0.5772)).toBeLessThan(0.03);
    expect(Math.abs(variance - Math.PI ** 2 / 6)).toBeLessThan(0.08);
    expect(new Set(noise.slice(0, 1000)).size).toBeGreaterThan(990);
  });

  test('a token reads one unit of each block, and no others', async () => {
    const run = async (change: (up: Float32Array, down: Float32Array) => void) => {
      const layer = new OneOfBlocks(features, hidden, { ...small, activation: 'gelu' });
      const numbers = fill(layer, on.device, 3);
      change(numbers.get('up')!, numbers.get('down')!);
      scope(() => {
        for (const name of ['up', 'down'] as const) {
          layer[name].set(tensor(numbers.get(name)!, [hidden, features], { device: on.device }));
        }
      });
      const out = scope(() => layer.forward(tensor(uniform(9, features), [1, features], { device: on.device })));
      const data = await out.data();
      out.dispose();
      layer.dispose();
      return data;
    };
    const before = await run(() => undefined);
    const counted = [];
    for (let unit = 0; unit < hidden; unit++) {
      const after = await run((up, down) =>
        [up, down].forEach((all) => all.fill(NaN, unit * features, (unit + 1) * features)),
      );
      if (after.every((value, i) => Object.is(value, before[i]))) continue;
      counted.push(Math.floor(unit / small.block));
    }
    expect(counted).toEqual([0, 1, 2]);
  });

  test('few rows move as many bytes as their units have', () => {
    const bytesOf = (units: number): number =>
      scope(() => {
        // as many blocks, of more units
        const layer = new OneOfBlocks(64, units, { ...small, block: units / 8, rank: 1 });
        layer.initialise({ device: on.device, seed: 1 });
        const x = tensor(uniform(9, 64), [1, 64], { device: on.device });
        const before = on.device.counters.bytesMoved;
        layer.forward(x);
        const moved = on.device.counters.bytesMoved - before;
        layer.dispose();
        return moved;
      });
    // beyond the gathered rows of 64 numbers, the controller has some numbers a unit
    expect(bytesOf(1024) - bytesOf(128)).toBeLessThan(896 * 4 * 8);
  });

  test('the gradient of what was chosen is that of the softmax', async () => {
    const [logits, d] = [uniform(1, 24), uniform(2, 24)];
    const results = scope(() => {
      const x = tensor(logits, [2, 3, 4], { device: on.device, requiresGradient: true });
      const cotangent = tensor(d, [2, 3, 4], { device: on.device });
      const weights = softmax(x);
      const choice = tensor(Int32Array.of(0, 3, 1, 2, 2, 0), [2, 3], { device: on.device });
      const quantised = straightThrough(oneHot(choice, 4), weights);
      const [soft, hard] = [weights, quantised].map((y) => gradients([mul(y, cotangent)], [x], [full(y)])[0]!);
      return { soft: soft!, hard: hard!, quantised };
    });
    const { soft, hard, quantised } = results;
    expectSameBits('gradient', await hard.data(), await soft.data());
    expect([...(await quantised.data())]).toEqual(
      [0, 3, 1, 2, 2, 0].flatMap((at) => [0, 1, 2, 3].map((j) => Number(j === at))),
    );
    disposeAll(results);
  });

  test('a share of the batches is quantised, the same again for a seed and step', async () => {
    const layer = new OneOfBlocks(features, hidden, { ...small, quantProb: 0.3 });
    fill(layer, on.device, 3);
    const x = tensor(uniform(9, 2 * features), [2, features], { device: on.device });
    const out = async (step: number) => {
      const y = scope(() => layer.train({ seed: 1, step }).forward(x));
      const data = await y.data();
      y.dispose();
      return data.join();
    };
    const soft = new OneOfBlocks(features, hidden, { ...small, quantProb: 0 });
    fill(soft, on.device, 3);
    const y = scope(() => soft.train(step).forward(x));
    const weighed = (await y.data()).join();
    const outs = [];
    for (let i = 0; i < 60; i++) outs.push(await out(i));
    const quantised = outs.filter((one) => one !== weighed).length;
    // 18 expected, 3.5 of deviation
    expect(quantised).toBeGreaterThan(7);
    expect(quantised).toBeLessThan(29);
    expect(await out(5)).toBe(outs[5]);
    disposeAll([x, y]);
    layer.dispose();
    soft.dispose();
  });

  test('equal bits for every number of threads', async () => {
    const run = async (device: Parameters<Parameters<typeof withThreads>[2]>[0]) => {
      const layer = new OneOfBlocks(32, 256, { ...small, block: 16, quantProb: 1 }).train(step);
      fill(layer, device, 3);
      const results = await resultsOf(device, layer, (rows) => layer.forward(rows), {
        x: uniform(5, 60 * 32),
        shape: [60, 32],
      });
      layer.dispose();
      return results;
    };
    const [one, three] = await withThreads(on.kind, [1, 3], run);
    for (const [name, numbers] of Object.entries(one!)) expectSameBits(name, three![name]!, numbers);
  });

  test('gathered and computed whole, a row is the same up to rounding', async () => {
    const layer = new OneOfBlocks(32, 256, { ...small, block: 4 });
    fill(layer, on.device, 3);
    const x = uniform(5, 20 * 32);
    const rowsOf = async (count: number) => {
      const y = scope(() => layer.forward(tensor(x.subarray(0, count * 32), [count, 32], { device: on.device })));
      const data = await y.data();
      y.dispose();
      return data;
    };
    const [few, many] = [await rowsOf(15), await rowsOf(20)];
    // 64 units of 32 products each, of at most 1
    expectClose('rows', few, many.slice(0, few.length), { budget: 64 * 32 * 2 ** -22 });
    layer.dispose();
  });
});

const full = (y: Tensor): Tensor => tensor(new Float32Array(y.size).fill(1), y.shape, { device: y.device });

const sizes = {
  features: 6,
  hidden: 24,
  activation: 'relu',
  gated: false,
  chunk: 0,
  length: 8,
  causal: true,
  share: 1,
} as const;

test('its cost: all units for many rows of small blocks, else those of a token', () => {
  const cost = (length: number, block: number) => scaling.cost({ ...sizes, length }, { block, rank: 2 });
  expect(cost(16, 4)).toEqual({ multiplyAdds: 16 * (2 * 30 + 2 * 6 * 24) });
  expect(cost(15, 4)).toEqual({ multiplyAdds: 15 * (2 * 30 + (2 * 6 * 24) / 4) });
  expect(cost(16, 8)).toEqual({ multiplyAdds: 16 * (2 * 30 + (2 * 6 * 24) / 8) });
});

test('refusals', () => {
  expect(() => scaling.create(sizes, { block: 5 })).toThrow(
    'scaling: block 5 must divide the 24 hidden units: change one of them.',
  );
  expect(() => scaling.create(sizes, { block: 8, quantProb: 2 })).toThrow('quantProb must be');
  expect(() => scaling.create(sizes, { block: 8, temperature: -1 })).toThrow('temperature must be');
  expect(() => new OneOfBlocks(4, 8, { ...small, activation: 'swish' as never })).toThrow('unknown activation "swish"');
  const layer = new OneOfBlocks(4, 8, small);
  expect(() => layer.forward(undefined as never)).toThrow('OneOfBlocks');
});
