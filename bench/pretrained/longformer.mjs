// An encoder as large as Longformer-base (12 × 768, window 512), random weights, against the same layers over all pairs, in turns; and the
// most memory that a forward pass holds beyond the weights, by the device's own count.
//   npm run build && node bench/pretrained/longformer.mjs [--lengths 4096,16384] [--globals 0] [--rounds 5] [--device native] [--threads 2]
// A global token has keys and values of its own at all tokens: two more products of their rows a layer.
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { createDevice } from '../../dist/devices/index.js';
import { readConfig, Transformer } from '../../dist/models/index.js';
import { noGradient, scope, tensor } from '../../dist/tensor/index.js';

const { values } = parseArgs({
  options: {
    lengths: { type: 'string', default: '4096,16384' },
    globals: { type: 'string', default: '0' },
    rounds: { type: 'string', default: '5' },
    device: { type: 'string', default: 'native' },
    threads: { type: 'string', default: '2' },
    layers: { type: 'string', default: '12' },
    width: { type: 'string', default: '768' },
  },
});
const device = await createDevice({ kind: values.device, threads: Number(values.threads) });
const width = Number(values.width);
const lengths = values.lengths.split(',').map(Number);
const vocabulary = 30522;
const of = (mechanism) =>
  new Transformer(
    readConfig({
      kind: 'encoder',
      vocabulary,
      length: Math.max(...lengths),
      layers: Number(values.layers),
      width,
      heads: width / 64,
      bias: true,
      position: 'learned',
      norm: { kind: 'layer', place: 'post', epsilon: 1e-5 },
      mechanism,
    }),
  ).initialise({ device, seed: 1 });
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const models = {
  longformer: of({
    name: 'longformer',
    options: { radius: 256, globals: Array.from({ length: Number(values.globals) }, (_, i) => i) },
  }),
  flash: of('flash'),
};
const bytes = (model) => [...model.stateDict().values()].reduce((sum, { size }) => sum + 4 * size, 0);

console.log(`${cpus()[0].model}; ${values.device}, ${values.threads} threads; medians of ${values.rounds} turns`);
console.log('| length | longformer, ms | all pairs, ms | × as fast | workspace of longformer, MB beyond weights |');
console.log('|---|---|---|---|---|');
for (const length of lengths) {
  const tokens = tensor(
    Int32Array.from({ length }, (_, i) => (i * 7919) % vocabulary),
    [1, length],
    { device },
  );
  const times = { longformer: [], flash: [] };
  let most = 0;
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const [name, model] of Object.entries(models)) {
      const before = device.ledger.mark();
      const start = performance.now();
      scope(() => void noGradient(() => model.hidden(tokens)));
      await device.synchronise();
      if (round > 0) times[name].push(performance.now() - start);
      if (name === 'longformer') most = Math.max(most, device.ledger.peak - before);
    }
  }
  const [long, all] = [median(times.longformer), median(times.flash)];
  console.log(
    `| ${length} | ${long.toFixed(0)} | ${all.toFixed(0)} | ${(all / long).toFixed(2)} | ${(most / 1e6).toFixed(0)} |`,
  );
  tokens.dispose();
}
console.log(`weights ${(bytes(models.longformer) / 1e6).toFixed(0)} MB`);
await device.dispose();
