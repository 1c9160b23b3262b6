// Sparse feed-forward layers beside dense ones (after npm run build), alternating in one run, the best of the rounds:
//   node bench/layers/measure.mjs memory     product-key, 512² values, beside a dense layer of as many multiply-adds; bytes of an update
//   node bench/layers/measure.mjs blocks     scaling, one unit of 32, beside the dense layer of its size, by rows decoded at a time
import { parseArgs } from 'node:util';
import { createDevice } from '../../dist/devices/index.js';
import { feedForward } from '../../dist/nn/feed-forward/registry.js';
import { gradients, noGradient, numbersOf, scope, tensor } from '../../dist/tensor/index.js';
import { adamW } from '../../dist/train/index.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    device: { type: 'string', default: 'native' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '9' },
    features: { type: 'string', default: '256' },
    tokens: { type: 'string', default: '1024' },
    keys: { type: 'string', default: '512' },
    hidden: { type: 'string', default: '2048' },
    block: { type: 'string', default: '32' },
  },
});
const [features, tokens, rounds] = [Number(values.features), Number(values.tokens), Number(values.rounds)];
const device = await createDevice({ kind: values.device, threads: Number(values.threads) });
const sizes = { features, activation: 'relu', gated: false, chunk: 0, length: tokens, causal: true, share: 1 };
const layerOf = (name, hidden, options) =>
  feedForward(name)
    .create({ ...sizes, hidden }, options)
    .initialise({ device, seed: 1 });
const rowsOf = (count) =>
  tensor(
    Float32Array.from({ length: count * features }, (_, i) => Math.sin(i * i)),
    [1, count, features],
    { device, requiresGradient: true },
  );

/** Microseconds of each, the best of the rounds; they take turns. */
const bestOf = (all) => {
  const best = all.map(() => Infinity);
  for (let round = 0; round < rounds; round++) {
    all.forEach((run, i) => {
      const start = performance.now();
      run();
      best[i] = Math.min(best[i], 1000 * (performance.now() - start));
    });
  }
  return best;
};
const streamOf = (given) => given.stream ?? given;
const forward = (layer, x) => () => scope(() => noGradient(() => void layer.forward(x, {})));
const both = (layer, x) => () =>
  scope(() => {
    const y = streamOf(layer.forward(x, {}));
    gradients([y], [x, ...layer.learnedTensors().values()], [y], { release: true, rows: true });
  });

if (positionals[0] === 'memory') {
  const options = { keys: Number(values.keys) };
  const cost = feedForward('product-key').cost({ ...sizes, hidden: 1, length: 1 }, options).multiplyAdds;
  const hidden = Math.round(cost / (2 * features));
  const [memory, dense] = [layerOf('product-key', 1, options), layerOf('dense', hidden, {})];
  const x = rowsOf(tokens);
  console.log(
    `${options.keys}² values of ${features}; dense: ${hidden} hidden; ${cost} multiply-adds a token; ${tokens} tokens`,
  );
  for (const [what, run] of [
    ['forward', forward],
    ['forward and backward', both],
  ]) {
    const [m, d] = bestOf([run(memory, x), run(dense, x)]);
    console.log(
      `${String(what)}: ${(m / tokens).toFixed(2)} µs a token, dense ${(d / tokens).toFixed(2)}: ${(m / d).toFixed(2)}×`,
    );
  }
  const updated = (rows) => {
    const optimiser = adamW([['values', memory.values.value]]);
    const found = scope(() => {
      const y = streamOf(memory.forward(x, {}));
      return gradients([y], [memory.values.value], [y], { rows })[0];
    });
    const before = device.counters.bytesMoved;
    optimiser.step([found], { learningRate: 1e-3 });
    const bytes = device.counters.bytesMoved - before;
    const start = performance.now();
    optimiser.step([found], { learningRate: 1e-3 });
    const seconds = (performance.now() - start) / 1000;
    return { bytes, seconds, found, optimiser };
  };
  for (const rows of [true, false]) {
    const { bytes, seconds, found, optimiser } = updated(rows);
    const read = rows
      ? (await found.indices.data()).filter((index) => index < options.keys ** 2).length
      : options.keys ** 2;
    console.log(
      `update of ${rows ? 'the rows that were read' : 'all rows'}: ${read} rows, at most ${(bytes / 1e6).toFixed(1)} MB, ` +
        `${(1000 * seconds).toFixed(1)} ms; gradient of ${(numbersOf(found).byteLength / 1e6).toFixed(1)} MB`,
    );
    optimiser.dispose();
    for (const one of rows ? [found.indices, found.rows] : [found]) one.dispose();
  }
} else if (positionals[0] === 'blocks') {
  const [hidden, block] = [Number(values.hidden), Number(values.block)];
  const [sparse, dense] = [layerOf('scaling', hidden, { block }), layerOf('dense', hidden, {})];
  console.log(`${features} features, ${hidden} hidden, one unit of ${block}`);
  for (const count of [1, 4, 16, 64, 256, 1024]) {
    const x = rowsOf(count);
    const many = (run) => () => Array.from({ length: 20 }, run);
    const [s, d] = bestOf([many(forward(sparse, x)), many(forward(dense, x))]);
    console.log(`${count} rows: ${(s / 20).toFixed(0)} µs, dense ${(d / 20).toFixed(0)}: ${(s / d).toFixed(2)}×`);
    x.dispose();
  }
} else console.log('memory or blocks?');
await device.dispose();
