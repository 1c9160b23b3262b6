// A needle in a haystack: a number hidden at some depth of other text, and at the end the question what it was. Models learn it at
// one length and are asked at others. Full attention finds it anywhere; a window only as far as its layers reach together.
import { argmax, createDevice, noGradient, scope, tensor } from 'subquad';
import { NOTHING_ASKED, taskBatch, taskOf } from 'subquad/data';
import { createModel, readConfig } from 'subquad/models';
import { adamW, cosine, Trainer } from 'subquad/train';
import { save, say, start, table } from './support.mjs';
import { drawing, grid, text } from './svg.mjs';

const needle = taskOf('needle');
const shades = Array.from({ length: 11 }, (_, i) => `hsl(202 100% ${97 - 6 * i}%)`);

/** Trains on samples of the task, the number at any depth; each is seen once. */
async function learn({ device, config, steps, batchSize, seed }) {
  const model = createModel(config).initialise({ device, seed });
  const { length } = config;
  const trainer = new Trainer({
    device,
    model,
    optimiser: (parameters) => adamW(parameters, { beta2: 0.99, weightDecay: 0 }),
    schedule: cosine({ peak: 3e-3, floor: 3e-4, steps, warmUp: Math.floor(steps / 10) }),
    // targets are the digits of the answer alone
    batches: {
      batchSize,
      length,
      batch: (step) => taskBatch(needle, { seed, batchSize, length }, step),
      startsAnew: () => true,
    },
    clip: 1,
  });
  while (trainer.steps < steps) await trainer.step();
  trainer.dispose();
  return model;
}

/** Share of the digits of new samples that are the most likely ones. */
async function rightDigits({ device, model, length, depth, samples, seed }) {
  const { tokens, targets } = taskBatch(needle, { seed, batchSize: samples, length, depth }, 0);
  const likeliest = scope(() =>
    noGradient(() => argmax(model.logits(tensor(tokens, [samples, length], { device })), { axis: -1 })),
  );
  const said = await likeliest.data();
  likeliest.dispose();
  const asked = [...targets.keys()].filter((place) => targets[place] !== NOTHING_ASKED);
  return asked.filter((place) => said[place] === targets[place]).length / asked.length;
}

export async function main({
  folder,
  steps = 900,
  length = 80,
  radius = 32,
  batchSize = 16,
  samples = 32,
  seed = 0,
  lengths = [64, 96, 128, 192, 256],
  depths = [0, 0.25, 0.5, 0.75, 1],
}) {
  const layers = 2;
  const device = await createDevice();
  const kinds = [
    { title: 'full attention', mechanism: 'flash' },
    {
      title: `a window of ${radius} in ${layers} layers: a reach of ${layers * radius}`,
      mechanism: { name: 'sliding-window', options: { radius } },
    },
  ];
  const grids = [];
  for (const { title, mechanism } of kinds) {
    // linear biases in place of rotations: they go on beyond the trained length
    const shape = { vocabulary: 128, length, layers, width: 64, heads: 4, feedForward: { hidden: 128 }, tied: false };
    const config = readConfig({ ...shape, position: 'alibi', mechanism });
    const model = await learn({ device, config, steps, batchSize, seed });
    const shares = [];
    for (const depth of depths) {
      const row = [];
      for (const asked of lengths) {
        row.push(await rightDigits({ device, model, length: asked, depth, samples, seed: seed + 1 }));
      }
      shares.push(row);
    }
    model.dispose();
    grids.push({ title, shares });
  }
  await device.dispose();

  say(
    `Right digits, of ${samples} numbers of five; guessing gives 10 %. Trained ${steps} steps at length ${length}.`,
    'Depth 0 is the beginning, 1 just before the question.',
    '',
  );
  for (const { title, shares } of grids) {
    table(
      [title, ...lengths.map((one) => `n = ${one}`)],
      shares.map((row, i) => [`depth ${depths[i]}`, ...row.map((share) => `${Math.round(100 * share)} %`)]),
    );
  }
  const [size, top] = [300, 62];
  const panel = ({ title, shares }, i) => {
    const x = 80 + 400 * i;
    const [width, height] = [size / lengths.length, size / depths.length];
    return [
      text(x, 24, title),
      ...lengths.map((one, column) => text(x + (column + 0.5) * width, top - 10, one, { anchor: 'middle', size: 11 })),
      ...depths.map((depth, row) =>
        text(x - 8, top + (row + 0.5) * height + 4, `depth ${depth}`, { anchor: 'end', size: 11 }),
      ),
      grid(
        shares.map((row) => row.map((share) => Math.round(10 * share))),
        shades,
        { x, y: top, size, label: `${title}: share of right digits, depths downwards, lengths to the right` },
      ),
      ...shares.flatMap((row, line) =>
        row.map((share, column) =>
          text(x + (column + 0.5) * width, top + (line + 0.5) * height + 4, `${Math.round(100 * share)} %`, {
            anchor: 'middle',
            size: 11,
            fill: share > 0.65 ? '#fff' : '#222',
          }),
        ),
      ),
    ].join('\n');
  };
  const picture = save(
    folder,
    'needle.svg',
    drawing(80 + 400 * grids.length, top + size + 20, 'Right digits by depth and length', grids.map(panel).join('\n')),
  );
  return { grids, picture };
}

await start(import.meta.url, main);
