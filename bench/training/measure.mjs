// Training steps as a share of the matmul rate: node bench/training/measure.mjs [speed|memory|million] (after npm run build)
// FLOPs of a step: 6 a parameter and token, and 14·pairs·headDim a head for attention (4 forward, 10 backward).
import { parseArgs } from 'node:util';
import { createDevice } from '../../dist/devices/index.js';
import { createModel, readConfig } from '../../dist/models/index.js';
import { matmul } from '../../dist/ops/index.js';
import { gradients, scope, tensor, disposeAll } from '../../dist/tensor/index.js';
import { adamW } from '../../dist/train/optimisers/index.js';
import { clipGradients } from '../../dist/train/clip.js';

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'native' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '7' },
    batch: { type: 'string', default: '8' },
    precision: { type: 'string', default: 'f32' },
    config: { type: 'string', default: '{}' },
  },
});
const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
const device = await createDevice({ kind: values.device, threads: Number(values.threads) });
const config = readConfig({ layers: 6, width: 256, heads: 4, length: 1024, ...JSON.parse(values.config) });
const model = createModel(config).initialise({ device, seed: 1 });
const parameters = [...model.namedParameters()].map(([name, { value }]) => [name, value]);
const optimiser = adamW(parameters);
const size = parameters.reduce((sum, [, x]) => sum + x.size, 0);
const B = Number(values.batch);
const L = config.length;
const tokens = tensor(
  Int32Array.from({ length: B * L }, (_, i) => (i * i) % 251),
  [B, L],
  { device },
);

async function step() {
  await scope(async () => {
    const { loss } = model.loss(tokens, tokens, { precision: values.precision });
    const found = gradients(
      [loss],
      parameters.map(([, x]) => x),
      [],
      { release: true },
    );
    await clipGradients(
      parameters.map(([name], i) => [name, found[i]]),
      1,
    );
    optimiser.step(found, { learningRate: 1e-4 });
  });
}

const side = 1024;
const square = tensor(new Float32Array(side * side).fill(0.5), [side, side], { device });
function product() {
  const out = scope(() => matmul(square, square));
  out.dispose();
}

const timed = async (f) => {
  const start = performance.now();
  await f();
  return (performance.now() - start) / 1000;
};
await step();
device.ledger.mark();
await step();
product();
const pairs = (L * (L + 1)) / 2;
const flops = 6 * size * B * L + 14 * pairs * config.headDim * config.heads * config.layers * B;
const steps = [];
const products = [];
for (let round = 0; round < Number(values.rounds); round++) {
  products.push(
    (await timed(() => {
      for (let i = 0; i < 10; i++) product();
    })) / 10,
  );
  steps.push(await timed(step));
}
const rate = flops / median(steps) / 1e9;
const peak = (2 * side ** 3) / median(products) / 1e9;
console.log(
  `${size} parameters, ${B}×${L} tokens: ${(median(steps) * 1000).toFixed(0)} ms a step, ` +
    `${((B * L) / median(steps)).toFixed(0)} tokens/s, ${rate.toFixed(0)} GFLOP/s of ${peak.toFixed(0)} (matmul): ${((100 * rate) / peak).toFixed(0)} %; peak ${(device.ledger.peak / 1e6).toFixed(0)} MB`,
);
if (process.env.PROFILE) {
  const before = device.run.bind(device);
  const spent = new Map();
  device.run = (kernel, args, tasks, options) => {
    const start = performance.now();
    before(kernel, args, tasks, options);
    const t = performance.now() - start;
    const key = kernel.name + ' ' + (kernel.key ?? '').slice(0, 50);
    const own = spent.get(key) ?? { ms: 0, calls: 0 };
    own.ms += t;
    own.calls++;
    spent.set(key, own);
  };
  const all = await timed(step);
  const list = [...spent].sort((a, b) => b[1].ms - a[1].ms).slice(0, 30);
  let sum = 0;
  for (const [, { ms }] of spent) sum += ms;
  console.log(`step ${(all * 1000).toFixed(0)} ms, kernels ${sum.toFixed(0)} ms`);
  for (const [name, { ms, calls }] of list) console.log(ms.toFixed(1).padStart(8), String(calls).padStart(4), name);
}
optimiser.dispose();
model.dispose();
disposeAll([tokens, square]);
await device.dispose();
