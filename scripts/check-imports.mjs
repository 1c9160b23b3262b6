// The import graph of src: no arrow up, by the order of folders in CONTRIBUTING.md, and no circle of files; imports of types count.
// What is allowed all the same stands below, each with its reason; one that is not needed any more is an error too.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, sep } from 'node:path';
import ts from 'typescript';

/** Circles of files that there may be, or smaller ones of the same files, and why. All close by the import of a type. */
const allowedCircles = [
  {
    files: names('tensor', 'accumulate create describe elementwise integers scope tape tensor'),
    reason: 'a tensor holds its Track, which the tape makes, and everything that makes tensors names their type',
  },
  {
    files: names('ops', 'linear-attend linear-attend/backward linear-attend/bind linear-attend/check'),
    reason: 'the options are declared beside the operation that documents them, and checked below it',
  },
  {
    files: names('attention', 'decode/open decode/options decode/ring decoder mechanism'),
    reason: 'mechanism.decoder() makes a Decoder, which keeps its mechanism',
  },
  {
    files: names('studies', 'bench bench-attend bench-matmul bench-run'),
    reason: 'what the study takes and returns is declared beside it, and used by its parts',
  },
  {
    files: names('data', 'corpus tokens'),
    reason: 'a source of tokens lists documents, whose type the corpus declares',
  },
  {
    files: names('studies', 'train-config train-optimiser'),
    reason: 'the configuration checks an optimiser by making it, from settings that it declares',
  },
  {
    files: names(
      'cli',
      'commands/bench commands/compare commands/doctor commands/evaluate commands/extrapolate commands/generate ' +
        'commands/mechanisms commands/plan commands/show commands/train program',
    ),
    reason: 'the program lists the commands, and declares what a command is',
  },
];
/** Arrows up that there may be, `from → to`, and why. */
const allowedArrows = {};

function names(folder, list) {
  return list.split(' ').map((name) => `${folder}/${name}.ts`);
}

const root = join(import.meta.dirname, '..');
const src = join(root, 'src');

/** The folders from the top down, as CONTRIBUTING.md has them. */
const [, line] = /^Arrows run downward only: `([^`]+)`/m.exec(readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8'));
const order = line.split(' → ');

const unix = (path) => path.split(sep).join('/');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map(unix)
  .sort();
const imports = new Map(files.map((file) => [file, importsOf(file)]));

/** Files of src that a file imports, statically, lazily or for types. */
function importsOf(file) {
  const { importedFiles } = ts.preProcessFile(readFileSync(join(src, file), 'utf8'), true, true);
  return importedFiles
    .map(({ fileName }) => fileName)
    .filter((name) => name.startsWith('.'))
    .map((name) => unix(normalize(join(dirname(file), name))).replace(/\.js$/, '.ts'));
}

/** What stands in src itself gathers the others, above them all. */
const rankOf = (file) => (file.includes('/') ? order.indexOf(file.split('/')[0]) : -1);

const faults = [];
for (const folder of new Set(files.filter((file) => file.includes('/')).map((file) => file.split('/')[0]))) {
  if (!order.includes(folder)) faults.push(`src/${folder} has no place in the order of CONTRIBUTING.md`);
}
const seenArrows = new Set();
for (const [from, list] of imports) {
  for (const to of list) {
    if (!imports.has(to)) faults.push(`src/${from} imports ${to}, which is not there`);
    else if (rankOf(to) < rankOf(from)) {
      const arrow = `${from} → ${to}`;
      seenArrows.add(arrow);
      if (!(arrow in allowedArrows)) faults.push(`arrow up: ${arrow}`);
    }
  }
}
const circles = circlesOf(imports);
const isOf = ({ files: all }, members) => members.every((one) => all.includes(one));
for (const members of circles) {
  if (!allowedCircles.some((one) => isOf(one, members))) faults.push(`circle: ${members.join(' ↔ ')}`);
}
for (const one of allowedCircles) {
  if (!circles.some((members) => isOf(one, members)))
    faults.push(`allowed and not there: circle ${one.files.join(' ↔ ')}`);
}
for (const arrow of Object.keys(allowedArrows)) {
  if (!seenArrows.has(arrow)) faults.push(`allowed and not there: arrow ${arrow}`);
}

/** Sets of files that reach each other: Tarjan's strongly connected components of more than one file, or of one that imports itself. */
function circlesOf(graph) {
  const [index, low, stack, found] = [new Map(), new Map(), [], []];
  const visit = (file) => {
    index.set(file, index.size);
    low.set(file, index.get(file));
    stack.push(file);
    for (const next of graph.get(file) ?? []) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(file, Math.min(low.get(file), low.get(next)));
    }
    if (low.get(file) !== index.get(file)) return;
    const members = stack.splice(stack.indexOf(file));
    if (members.length > 1 || graph.get(file)?.includes(file)) found.push(members);
  };
  for (const file of graph.keys()) if (!index.has(file)) visit(file);
  return found;
}

const arrows = [...imports.values()].reduce((sum, list) => sum + list.length, 0);
console.log(`src: ${files.length} files, ${arrows} imports`);
for (const { files: members, reason } of allowedCircles)
  console.log(`allowed circle: ${members.join(' ↔ ')}\n  ${reason}`);
for (const [arrow, reason] of Object.entries(allowedArrows)) console.log(`allowed arrow up: ${arrow}\n  ${reason}`);
for (const fault of faults) console.error(`error  ${fault}`);
process.exitCode = faults.length > 0 ? 1 : 0;
