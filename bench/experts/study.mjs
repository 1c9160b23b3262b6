// Experts against a dense layer at equal compute on a book: bits per byte of the part kept for validation, over seeds.
//   npm run build && node bench/experts/study.mjs --out FOLDER [--minutes 10 | --steps N] [--seeds 0,1,2] [TEXT…]
// A token goes through one expert of as many hidden units as the dense layer has, so both have the same multiply-adds; what experts take
// beside (routing, and an optimiser that moves eight times the weights of their layers) is part of the minutes. Runs take turns, seed by
// seed, so that a machine that changes changes for both. A run that is there already is gone on with, or read.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values, positionals: texts } = parseArgs({
  options: {
    out: { type: 'string' },
    minutes: { type: 'string', default: '10' },
    steps: { type: 'string' },
    seeds: { type: 'string', default: '0,1,2' },
    preset: { type: 'string', default: 'tiny' },
    device: { type: 'string', default: 'native' },
    threads: { type: 'string', default: '2' },
    kinds: { type: 'string', default: 'dense dense,switch:experts=8 switch:experts=8' },
  },
  allowPositionals: true,
});
if (values.out === undefined) throw new Error('study: name a folder for the runs, as --out FOLDER.');
mkdirSync(values.out, { recursive: true });
const main = new URL('../../dist/cli/main.js', import.meta.url).pathname;
const limit = values.steps === undefined ? ['--minutes', values.minutes] : ['--steps', values.steps];
const kinds = values.kinds.split(' ');

/** What a run came to, after it was trained if it is not there. */
function trained(kind, seed) {
  const folder = join(values.out, `${kind.replaceAll(/[^a-z0-9]+/g, '-')}-${seed}`);
  const result = `${folder}.json`;
  if (!existsSync(result)) {
    const shared = ['--device', values.device, '--threads', values.threads, '--json', result];
    const own = existsSync(folder)
      ? ['--resume', folder]
      : [...texts, '--preset', values.preset, ...limit, '--seed', seed, '--feed-forward', kind, '--out', folder];
    const { status } = spawnSync(process.execPath, [main, 'train', ...own, ...shared], { stdio: 'inherit' });
    if (status !== 0) throw new Error(`study: ${folder} ended with ${status}; start again to go on with it.`);
  }
  const metrics = readFileSync(join(folder, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const bits = metrics.filter(({ kind: what }) => what === 'evaluation').map(({ bitsPerByte }) => bitsPerByte);
  const last = metrics.findLast(({ kind: what }) => what === 'step');
  const layers = metrics.findLast(({ kind: what }) => what === 'layers')?.values ?? {};
  const busiest = Object.entries(layers).flatMap(([name, list]) =>
    name.startsWith('load.') ? [Math.max(...list) * list.length] : [],
  );
  const dropped = Object.entries(layers).flatMap(([name, [share]]) => (name.startsWith('dropped.') ? [share] : []));
  return { kind, seed, best: Math.min(...bits), steps: last.step, elapsed: last.elapsed, busiest, dropped };
}

const all = values.seeds.split(',').flatMap((seed) => kinds.map((kind) => trained(kind, seed)));
writeFileSync(join(values.out, 'study.json'), `${JSON.stringify(all, null, 2)}\n`);
const mean = (list) => list.reduce((sum, x) => sum + x, 0) / list.length;
console.log(
  '| feed-forward | bits per byte, mean of seeds | lowest to highest | steps | busiest expert | dropped |\n|---|---|---|---|---|---|',
);
for (const kind of kinds) {
  const own = all.filter((run) => run.kind === kind);
  const best = own.map((run) => run.best);
  const of = (list, show) => (list.length === 0 ? '–' : show(mean(list)));
  const cells = [
    `\`${kind}\``,
    mean(best).toFixed(4),
    `${Math.min(...best).toFixed(4)} to ${Math.max(...best).toFixed(4)}`,
    Math.round(mean(own.map(({ steps }) => steps))),
    of(
      own.flatMap(({ busiest }) => busiest),
      (x) => `${x.toFixed(2)}×`,
    ),
    of(
      own.flatMap(({ dropped }) => dropped),
      (x) => `${(100 * x).toFixed(1)} %`,
    ),
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
