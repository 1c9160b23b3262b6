// Training steps as a share of the matmul rate, and their memory beside the prediction (after npm run build):
//   node bench/training/measure.mjs                        6 layers of 256, 4 heads, 8 windows of 1024: subquad train --preset small
//   node bench/training/measure.mjs --lengths 1024,4096 --batch 1 --rounds 1 --config '{"mechanism":{"name":"sliding-window","options":{"radius":256}}}'
//   PROFILE=1 …                                            what each kernel takes
// FLOPs of a step: 6 a parameter and token, and 14·pairs·headDim a head for attention (4 forward, 10 backward), pairs of the pattern.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { mechanism } from '../../dist/attention/index.js';
import { createDevice } from '../../dist/devices/index.js';
import { createModel, readConfig } from '../../dist/models/index.js';
import { matmul } from '../../dist/ops/index.js';
import { shareOf } from '../../dist/studies/peak.js';
import { scope, tensor } from '../../dist/tensor/index.js';
import { adamW, constantRate, lossScaler, rehearseTraining, Trainer } from '../../dist/train/index.js';

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'native' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '7' },
    batch: { type: 'string', default: '8' },
    lengths: { type: 'string', default: '1024' },
    precision: { type: 'string', default: 'f32' },
    config: { type: 'string', default: '{}' },
    text: { type: 'string', default: new URL('../../assets/pride-and-prejudice.txt', import.meta.url).pathname },
  },
});
const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
const timed = async (f) => {
  const start = performance.now();
  await f();
  return (performance.now() - start) / 1000;
};

const device = await createDevice({ kind: values.device, threads: Number(values.threads) });
const [batchSize, rounds, precision] = [Number(values.batch), Number(values.rounds), values.precision];
const text = readFileSync(values.text);
const side = 1024;
const square = tensor(new Float32Array(side * side).fill(0.5), [side, side], { device });
const product = () => scope(() => void matmul(square, square));
product();

for (const length of values.lengths.split(',').map(Number)) {
  const config = readConfig({ layers: 6, width: 256, heads: 4, ...JSON.parse(values.config), length });
  const predicted = await rehearseTraining(config, { batchSize, precision, like: device.info });
  const model = createModel(config).initialise({ device, seed: 1 });
  const batch = (step) =>
    Int32Array.from(
      { length: batchSize * (length + 1) },
      (_, i) => text[(step * batchSize * length + i) % text.length],
    );
  const trainer = new Trainer({
    device,
    model,
    optimiser: adamW,
    schedule: constantRate(1e-3),
    batches: { batchSize, length, batch, startsAnew: () => true },
    clip: 1,
    precision,
    lossScale: precision === 'f16' ? lossScaler() : undefined,
  });
  const first = await trainer.step();
  const [steps, products] = [[], []];
  for (let round = 0; round < rounds; round++) {
    products.push((await timed(() => Array.from({ length: 10 }, product))) / 10);
    steps.push((await trainer.step()).seconds);
  }
  const { heads, headDim, layers, kvHeads } = config;
  const shape = { B: 1, H: heads, G: kvHeads, L: length, S: length, D: headDim, E: headDim };
  const { name, options } = config.mechanism;
  const { pairs } = mechanism(name).cost(shape, { ...options, causal: true });
  const tokens = batchSize * length;
  const flops = 6 * predicted.parameters * tokens + 14 * pairs * headDim * layers * batchSize;
  const [rate, peak] = [flops / median(steps) / 1e9, (2 * side ** 3) / median(products) / 1e9];
  const share = shareOf(rate, peak);
  console.log(
    [
      `${(predicted.parameters / 1e6).toFixed(2)} M parameters, ${batchSize} × ${length} tokens, ${precision}, loss ${first.loss.toFixed(3)}`,
      `${median(steps).toFixed(3)} s a step, ${(tokens / median(steps)).toFixed(0)} tokens/s`,
      `${rate.toFixed(0)} GFLOP/s, ${share === null ? 'which cannot be more than' : `${(100 * share).toFixed(0)} % of`} matmul's ${peak.toFixed(0)}`,
      // the ledger holds the square beside what the step takes
      `peak ${((first.peakBytes - square.byteLength) / 1e6).toFixed(1)} MB, predicted ${(predicted.peakBytes / 1e6).toFixed(1)} MB`,
    ].join('; '),
  );
  if (process.env.PROFILE) await profile(trainer);
  trainer.dispose();
  model.dispose();
}
square.dispose();
await device.dispose();

async function profile(trainer) {
  const run = device.run.bind(device);
  const spent = new Map();
  device.run = (kernel, ...rest) => {
    const start = performance.now();
    run(kernel, ...rest);
    const own = spent.get(kernel.name) ?? { milliseconds: 0, calls: 0 };
    own.milliseconds += performance.now() - start;
    own.calls++;
    spent.set(kernel.name, own);
  };
  const all = await timed(() => trainer.step());
  delete device.run;
  console.log(`  of ${(1000 * all).toFixed(0)} ms:`);
  for (const [name, { milliseconds, calls }] of [...spent]
    .sort((a, b) => b[1].milliseconds - a[1].milliseconds)
    .slice(0, 16)) {
    console.log(`  ${milliseconds.toFixed(1).padStart(8)} ms ${String(calls).padStart(5)}  ${name}`);
  }
}
