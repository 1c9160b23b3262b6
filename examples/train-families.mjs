// The same small decoder of the next byte with one mechanism of each family, trained on the novel that comes with the package:
// what it learns in as many steps, how fast, and in how much memory.
import { fileURLToPath } from 'node:url';
import { createDevice } from 'subquad';
import { Batches, Ngram, openCorpus, splitCorpus } from 'subquad/data';
import { createModel, readConfig } from 'subquad/models';
import { adamW, cosine, evaluate, Trainer } from 'subquad/train';
import { bytes, count, say, start, table } from './support.mjs';

const novel = fileURLToPath(new URL('../assets/pride-and-prejudice.txt', import.meta.url));

/** Low-rank attention is missing: its landmarks and projections mix what comes later into what came before. */
const families = [
  { family: 'exact', name: 'flash', options: {} },
  { family: 'patterns', name: 'sliding-window', options: { radius: 32 } },
  { family: 'patterns', name: 'long-short-causal', options: { causalWindow: 32, chunkLength: 16 } },
  { family: 'kernel-methods', name: 'linear-transformer', options: {} },
  { family: 'kernel-methods', name: 'performer', options: { numFeatures: 64 } },
  { family: 'hashing', name: 'reformer', options: { chunkLength: 32, rounds: 2 } },
  { family: 'mixers', name: 'synthesizer', options: {} },
];

export async function main({ steps = 120, length = 128, batchSize = 8, width = 64, layers = 2, seed = 0 }) {
  const { train, validation } = splitCorpus(openCorpus([novel]), 0.1);
  const shape = { batchSize, length };
  const held = new Batches(validation, { ...shape, order: 'sequential' });
  const device = await createDevice();
  const rows = [];
  for (const { family, name, options } of families) {
    const config = readConfig({ length, width, layers, heads: 2, mechanism: { name, options } });
    const model = createModel(config).initialise({ device, seed });
    const parameters = [...model.stateDict().values()].reduce((sum, { size }) => sum + size, 0);
    const trainer = new Trainer({
      device,
      model,
      optimiser: (learned) => adamW(learned),
      schedule: cosine({ peak: 5e-3, floor: 5e-4, steps, warmUp: Math.floor(steps / 10) }),
      batches: new Batches(train, { ...shape, seed }),
      clip: 1,
    });
    const taken = [];
    while (taken.length < steps) taken.push(await trainer.step());
    const { loss } = await evaluate({ device, model, batches: held, windows: 64 });
    trainer.dispose();
    model.dispose();
    // the first steps compile kernels
    const warm = taken.slice(Math.min(3, steps - 1));
    const seconds = warm.reduce((sum, step) => sum + step.seconds, 0);
    rows.push({
      family,
      name,
      parameters,
      before: taken[0].loss / Math.LN2,
      bitsPerByte: loss / Math.LN2,
      rate: (warm.length * batchSize * length) / seconds,
      peak: Math.max(...taken.map(({ peakBytes }) => peakBytes)),
    });
  }
  const { kind, threads } = device.info;
  await device.dispose();

  say(
    `${layers} layers of width ${width}, ${count(steps)} steps of ${batchSize} × ${length} bytes, ${kind}, ${threads} threads`,
    '',
  );
  table(
    ['', 'family', 'parameters', 'bits per byte', 'tokens/s', 'peak memory'],
    rows.map(({ name, family, parameters: own, bitsPerByte, rate, peak }) => [
      name,
      family,
      count(own),
      bitsPerByte.toFixed(3),
      count(rate),
      bytes(peak),
    ]),
  );
  const fiveGram = new Ngram(train).score(validation).bitsPerByte;
  say(
    `Bits per byte of text that was not trained on. A 5-gram counted on the same text reaches ${fiveGram.toFixed(3)}: so few steps are`,
    'for a comparison, not for a model. At this length full attention is cheap; try length=1024 batchSize=1.',
  );
  return { rows, fiveGram };
}

await start(import.meta.url, main);
