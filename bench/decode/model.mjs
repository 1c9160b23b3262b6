// Time per token of whole models at growing positions, warmed up (after npm run build): node bench/decode/model.mjs
import { createDevice } from '../../dist/devices/index.js';
import { createModel, openSession, readConfig } from '../../dist/models/index.js';

const POSITIONS = [100, 1000, 10_000];
const AROUND = 50;
const ROUNDS = 3;
const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

const device = await createDevice({ kind: process.argv[2] ?? 'native' });
for (const [name, config, options] of [
  ['ring of 256', {}, { cache: 'ring', window: 256 }],
  ['4 sinks, ring of 252', {}, { cache: 'sink', window: 252, sinks: 4 }],
  ['linear-transformer', { mechanism: 'linear-transformer' }, {}],
]) {
  const model = createModel(readConfig({ layers: 4, width: 192, heads: 4, length: 1024, ...config }));
  model.initialise({ device, seed: 1 });
  const session = openSession(model, { maxLength: 11_000, ...options });
  const times = new Map(POSITIONS.map((position) => [position, []]));
  // the first round warms up
  for (let round = 0; round <= ROUNDS; round++) {
    session.reset();
    for (let position = 1; position <= POSITIONS.at(-1) + AROUND; position++) {
      const start = performance.now();
      const logits = session.step([(position * position) % 256]);
      await logits.data();
      logits.dispose();
      const near = POSITIONS.find((one) => Math.abs(position - one) <= AROUND);
      if (round > 0 && near !== undefined) times.get(near).push(performance.now() - start);
    }
  }
  const medians = POSITIONS.map((position) => median(times.get(position)));
  const spread = Math.max(...medians) / Math.min(...medians) - 1;
  const list = POSITIONS.map((position, i) => `${position}: ${medians[i].toFixed(3)} ms`).join('   ');
  console.log(`${name.padEnd(22)} ${list}   (within ${(100 * spread).toFixed(0)} %)`);
  session.dispose();
  model.dispose();
}
await device.dispose();
