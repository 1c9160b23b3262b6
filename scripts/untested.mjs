// Files of src that no test is beside (tests/ mirrors src/) and none names by its path, such as kernels/sort/top-k; folders' index.ts and
// files of types alone need none. node scripts/untested.mjs [FOLDER …]
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import ts from 'typescript';

const root = join(import.meta.dirname, '..');
const filesOf = (folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.split(sep).join('/'));

/** With `a/{b,c}` as `a/b a/c`: so tests name the files that they are of, too. */
const spelledOut = (text) =>
  text.replace(/([\w/-]+\/)\{([\w,-]+)\}/g, (_, folder, names) =>
    names
      .split(',')
      .map((name) => folder + name)
      .join(' '),
  );
const tests = filesOf('tests').map((name) => spelledOut(readFileSync(join(root, 'tests', name), 'utf8')));

/** Whether anything is left of a file once its types are taken out. */
function hasCode(file) {
  const text = readFileSync(join(root, 'src', file), 'utf8');
  const { outputText } = ts.transpileModule(text, { compilerOptions: { target: 'es2022', module: 'esnext' } });
  return outputText.replace(/export (\* from|\{[^}]*\}( from)?)[^;]*;/g, '').trim() !== '';
}

const folders = process.argv.slice(2);
const files = filesOf('src').filter(
  (file) => !file.endsWith('index.ts') && (folders.length === 0 || folders.some((folder) => file.startsWith(folder))),
);
const untested = files.filter((file) => {
  const path = file.replace(/\.ts$/, '');
  if (existsSync(join(root, 'tests', `${path}.test.ts`))) return false;
  const name = new RegExp(`(?<![\\w-])${path}(?![\\w-])`);
  return !tests.some((text) => name.test(text)) && hasCode(file);
});
for (const file of untested) console.log(file);
const beside = files.filter((file) => existsSync(join(root, 'tests', file.replace(/\.ts$/, '.test.ts')))).length;
console.log(`${files.length} files: ${beside} with a test at the mirrored path, ${untested.length} that no test names`);
