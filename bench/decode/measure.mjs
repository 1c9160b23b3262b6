// Time per token of decoders at growing positions: one batch row, 4 heads of 64. All positions and caches take turns.
// After `npm run build`: node bench/decode/measure.mjs [--device wasm] [--threads 2] [--rounds 40] [--only ring,fixed]
import { parseArgs } from 'node:util';
import { mechanism } from '../../dist/attention/index.js';
import { normal } from '../../dist/core/random.js';
import { createDevice } from '../../dist/index.js';
import { alibi } from '../../dist/scores/index.js';
import { disposeAll, tensor } from '../../dist/tensor/index.js';

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'native' },
    threads: { type: 'string' },
    rounds: { type: 'string', default: '40' },
    only: { type: 'string' },
  },
});
const positions = [100, 1000, 10000];
const stepsOfTurn = 25;
const device = await createDevice({
  kind: values.device,
  ...(values.threads && { threads: Number(values.threads) }),
});
const [H, D] = [4, 64];
const tokens = (count, heads = H) =>
  ['q', 'k', 'v'].map((name) => {
    const own = name === 'q' ? H : heads;
    return tensor(normal(1, `decode ${name}`, own * count * D), [1, own, count, D], { device });
  });
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

const ring = { cache: 'ring', window: 256 };
const caches = {
  ring: ['flash', ring],
  'ring, alibi': ['flash', { ...ring, score: alibi() }],
  sink: ['flash', { cache: 'sink', sinks: 4, window: 252, score: alibi() }],
  'linear-transformer': ['linear-transformer', {}],
  performer: ['performer', { numFeatures: 64 }],
  fixed: ['flash', {}],
  'fixed, alibi': ['flash', { score: alibi() }],
  'fixed, 1 key head': ['flash', {}, 1],
  'fixed, sliding-window': ['sliding-window', { radius: 255 }],
};
const chosen = Object.entries(caches).filter(([name]) => values.only?.split(',').includes(name) ?? true);
const maxLength = positions.at(-1) + 1000 + stepsOfTurn * (Number(values.rounds) + 1);
const runs = chosen.flatMap(([name, [of, options, heads]]) =>
  positions.map((position) => {
    const decoder = mechanism(of).decoder({ maxLength, ...options });
    const fill = () => {
      const prompt = tokens(position, heads);
      decoder.reset();
      disposeAll(decoder.step(...prompt));
      disposeAll(prompt);
    };
    fill();
    return { name, position, fill, decoder, token: tokens(1, heads), times: [] };
  }),
);
for (let round = -1; round < Number(values.rounds); round++) {
  for (const { position, fill, decoder, token, times } of runs) {
    // far out, the tokens of all turns hardly move it
    if (position <= 1000) fill();
    for (let step = 0; step < stepsOfTurn; step++) {
      const start = performance.now();
      const { out, logsumexp } = decoder.step(...token);
      out.dispose();
      logsumexp?.dispose();
      // the first round compiles
      if (round >= 0) times.push(1000 * (performance.now() - start));
    }
  }
}
console.log(`${device.info.kind}, ${device.info.threads} threads; µs per token, medians of ${runs[0].times.length}`);
for (const [name] of chosen) {
  const own = runs.filter((run) => run.name === name);
  const figures = own.map(({ times }) => median(times));
  // a ring is not full at the first position
  const growth = figures.at(-1) / figures.at(-2);
  const cells = own.map(({ position }, i) => `${position}: ${figures[i].toFixed(0)}`);
  console.log(`${name.padEnd(22)} ${cells.join('   ')}   (${growth.toFixed(2)} from ${positions.at(-2)} on)`);
}
for (const { decoder, token } of runs) {
  decoder.dispose();
  disposeAll(token);
}
await device.dispose();
