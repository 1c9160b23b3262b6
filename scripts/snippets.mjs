// The TypeScript of the README and the examples and fenced blocks of docstrings, as someone who installed the package compiles it:
// strictly, in Node, and in a page without the types of Node. The declarations of the package are compiled along. The blocks of
// CONTRIBUTING.md are compiled among the sources. Run by itself, it takes what was built last for the package.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { compileInside } from './snippets-inside.mjs';

const root = join(import.meta.dirname, '..');
const fenced = (text) => [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code);
const examples = (text) =>
  (text.match(/\/\*\*[\s\S]*?\*\//g) ?? []).flatMap((comment) => {
    const example = /@example\s([\s\S]*?)(?:@\w|\*\/$)/.exec(comment)?.[1];
    const plain = (code) => code.replace(/^\s*\* ?/gm, '');
    return [...(example === undefined ? [] : [plain(example).trim()]), ...fenced(plain(comment))];
  });

/** What examples speak of without making it. */
const given = `
import type { Tensor, Device } from 'subquad';
import type { LanguageModel } from 'subquad/models';
declare global {
  const q: Tensor, k: Tensor, v: Tensor, x: Tensor, slope: Tensor, loss: Tensor, device: Device;
  const file: File, response: Response, model: LanguageModel, state: ReadonlyMap<string, Tensor>, theirs: ReadonlyMap<string, Tensor>;
}
`;

const strict = { strict: true, noEmit: true, skipLibCheck: false, target: ts.ScriptTarget.ES2022 };
const settings = {
  'in Node': {
    ...strict,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
    lib: ['lib.es2022.d.ts'],
  },
  'in a page': {
    ...strict,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    types: [],
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
  },
};

/** A line for each error. `folder` has the package in its node_modules. */
export function compileSnippets(folder) {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const all = [
    ...fenced(readFileSync(join(root, 'README.md'), 'utf8')).map((code) => ['README.md', code]),
    ...sources.flatMap((name) => examples(readFileSync(join(root, 'src', name), 'utf8')).map((code) => [name, code])),
  ];
  const names = new Map();
  const parts = ['', '/attention', '/data', '/masks', '/models', '/nn', '/pretrained', '/train'].map(
    (part) => `subquad${part}`,
  );
  writeFileSync(join(folder, 'given.d.ts'), given);
  const files = all.map(([name, code], i) => {
    const path = join(folder, `snippet-${i}.ts`);
    names.set(path, name);
    // an example of a docstring imports what it names
    const own = new Set([...code.matchAll(/(?:const|class|function) (?:\{ ?|\[ ?)?(\w+)/g)].map((match) => match[1]));
    for (const [, name] of given.matchAll(/(\w+): /g)) own.add(name);
    const imports = code.includes('import ') ? '' : importsOf(folder, parts, code, own);
    writeFileSync(path, `${imports}${code}\nexport {};\n`);
    return path;
  });
  const outside = Object.entries(settings).flatMap(([where, options]) => {
    const program = ts.createProgram([...files, join(folder, 'given.d.ts')], options);
    return ts.getPreEmitDiagnostics(program).map(({ file, messageText, start }) => {
      const at = file === undefined ? '' : `:${file.getLineAndCharacterOfPosition(start ?? 0).line + 1}`;
      const name = file === undefined ? '' : (names.get(file.fileName) ?? file.fileName.slice(folder.length + 1));
      return `${name}${at}, ${where}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
    });
  });
  return [...outside, ...compileInside(root)];
}

const known = new Map();

function importsOf(folder, parts, code, own) {
  const words = new Set(code.match(/\b[A-Za-z]\w*\b/g));
  const taken = new Set(own);
  return parts
    .map((part) => {
      const names = known.get(part) ?? exportsOf(folder, part);
      known.set(part, names);
      const used = names.filter((name) => words.has(name) && !taken.has(name));
      for (const name of used) taken.add(name);
      return used.length === 0 ? '' : `import { ${used.join(', ')} } from '${part}';\n`;
    })
    .join('');
}

function exportsOf(folder, part) {
  const name = part === 'subquad' ? 'index' : `${part.slice('subquad/'.length)}/index`;
  const path = join(folder, 'node_modules/subquad/dist', `${name}.d.ts`);
  const program = ts.createProgram([path], settings['in a page']);
  const checker = program.getTypeChecker();
  return checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(path))).map((one) => one.name);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const folder = mkdtempSync(join(tmpdir(), 'subquad-snippets-'));
  try {
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(root, join(folder, 'node_modules/subquad'), 'junction');
    const problems = compileSnippets(folder);
    for (const problem of problems) console.error(`error  ${problem}`);
    process.exitCode = problems.length > 0 ? 1 : 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
