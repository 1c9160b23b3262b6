// Encoders of one size on three tasks of classes, by `subquad train --objective classify` alone: accuracy on examples that were not trained on,
// mean and standard deviation over seeds, beside the share of the commonest class.
//
//   node bench/tasks/measure.mjs --data FOLDER [--tasks listops,reviews,mnist] [--mechanisms flash,…] [--seeds 3] [--steps N]
//
// FOLDER holds listops/short_train10000.tsv and short_test2000.tsv (Long Range Arena's generator), reviews/ with a folder for each class
// (Pang & Lee, polarity v2.0), and mnist/ with the four IDX files; what is missing is left out, and said.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';

const { values } = parseArgs({
  options: {
    data: { type: 'string', default: '.' },
    tasks: { type: 'string', default: 'listops,reviews,mnist' },
    mechanisms: { type: 'string', default: 'flash,sliding-window,performer,linformer,reformer,fnet' },
    seeds: { type: 'string', default: '3' },
    steps: { type: 'string' },
    json: { type: 'string' },
  },
});
const data = (...parts) => join(resolve(values.data), ...parts);
const cli = resolve(import.meta.dirname, '../../dist/cli/main.js');
/** One size and one recipe for all: what differs is the mechanism and the seed. */
const size = ['--layers', '2', '--width', '64', '--heads', '4', '--rate', '0.001'];
const options = {
  'sliding-window': 'sliding-window:radius=32',
  performer: 'performer:numFeatures=64',
  linformer: 'linformer:projectedLength=64',
  reformer: 'reformer:chunkLength=32',
};
const tasks = {
  listops: {
    needs: [data('listops/short_train10000.tsv'), data('listops/short_test2000.tsv')],
    steps: 3000,
    argv: ([train, test]) => [
      train,
      '--validation-on',
      test,
      '--words',
      '--drop-words',
      '(,)',
      '--length',
      '128',
      '--batch',
      '32',
    ],
  },
  reviews: {
    needs: [data('reviews')],
    steps: 600,
    argv: ([folder]) => [folder, '--length', '2048', '--truncate', '--batch', '8', '--validation', '0.2'],
  },
  mnist: {
    needs: ['train-images-idx3', 'train-labels-idx1', 't10k-images-idx3', 't10k-labels-idx1'].map((name) => {
      const path = data(`mnist/${name}-ubyte`);
      return existsSync(`${path}.gz`) ? `${path}.gz` : path;
    }),
    steps: 1500,
    argv: ([images, labels, heldImages, heldLabels]) => [
      '--images',
      images,
      '--labels',
      labels,
      '--validation-images',
      heldImages,
      '--validation-labels',
      heldLabels,
      '--length',
      '784',
      '--batch',
      '16',
    ],
  },
};

/** The last evaluation of one run: no best of many, which would choose by what is measured. */
async function one(task, mechanism, seed) {
  const { needs, argv, steps } = tasks[task];
  const folder = mkdtempSync(join(tmpdir(), 'subquad-tasks-'));
  const total = values.steps ?? String(steps);
  const train = [
    'train',
    '--objective',
    'classify',
    ...argv(needs),
    ...size,
    '--mechanism',
    options[mechanism] ?? mechanism,
  ];
  const run = [
    ...train,
    '--seed',
    String(seed),
    '--steps',
    total,
    '--evaluate-every',
    total,
    '--out',
    join(folder, 'run'),
    '--json',
    join(folder, 'result.json'),
  ];
  try {
    const begin = performance.now();
    await promisify(execFile)(process.execPath, [cli, ...run], { maxBuffer: 2 ** 26 });
    const last = JSON.parse(readFileSync(join(folder, 'result.json'), 'utf8'));
    const ofClass = last.confusion.map((row) => row.reduce((a, b) => a + b, 0));
    const chance = Math.max(...ofClass) / ofClass.reduce((a, b) => a + b, 0);
    return { accuracy: last.accuracy, macroF1: last.macroF1, chance, seconds: (performance.now() - begin) / 1000 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
const deviation = (list) =>
  list.length < 2 ? 0 : Math.sqrt(list.reduce((sum, x) => sum + (x - mean(list)) ** 2, 0) / (list.length - 1));

console.log(`${cpus()[0].model}, ${cpus().length} cores; ${size.join(' ')}; ${values.seeds} seeds`);
console.log(
  '| task | mechanism | accuracy, % | commonest class, % | macro F1 | seconds a run |\n|---|---|---|---|---|---|',
);
const found = [];
for (const task of values.tasks.split(',')) {
  const missing = tasks[task].needs.filter((path) => !existsSync(path));
  if (missing.length > 0) {
    console.log(`| ${task} | left out: ${missing[0]} is not there | | | | |`);
    continue;
  }
  for (const mechanism of values.mechanisms.split(',')) {
    const runs = [];
    for (let seed = 0; seed < Number(values.seeds); seed++) runs.push(await one(task, mechanism, seed));
    const of = (key) => runs.map((run) => run[key]);
    found.push({ task, mechanism, runs });
    const accuracy = of('accuracy').map((x) => 100 * x);
    const cells = [
      `${mean(accuracy).toFixed(1)} ± ${deviation(accuracy).toFixed(1)}`,
      (100 * runs[0].chance).toFixed(1),
    ];
    console.log(
      `| ${task} | ${mechanism} | ${[...cells, mean(of('macroF1')).toFixed(3), mean(of('seconds')).toFixed(0)].join(' | ')} |`,
    );
  }
}
if (values.json) writeFileSync(values.json, JSON.stringify(found, null, 2));
