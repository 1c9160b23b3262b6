// The import graph of src: no arrow up, by the order of folders in CONTRIBUTING.md, and no circle of files; imports of types count.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, sep } from 'node:path';
import ts from 'typescript';

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
for (const [from, list] of imports) {
  for (const to of list) {
    if (!imports.has(to)) faults.push(`src/${from} imports ${to}, which is not there`);
    else if (rankOf(to) < rankOf(from)) faults.push(`arrow up: ${from} → ${to}`);
  }
}
for (const members of circlesOf(imports)) faults.push(`circle: ${members.join(' ↔ ')}`);

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
for (const fault of faults) console.error(`error  ${fault}`);
process.exitCode = faults.length > 0 ? 1 : 0;
