// The TypeScript of CONTRIBUTING.md as part of the sources, each block with what its section takes as given.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** What is around the blocks of a section, in their order. */
const around = {
  'A mechanism': [
    (code) => `import { costOfPairs, defineAttention, integer } from './src/attention/index.js';
import { mask, within } from './src/masks/index.js';
import type { AttentionShape } from './src/attention/index.js';
declare function pairsOf(shape: AttentionShape, sinks: number, radius: number, causal: boolean): number;
${code}`,
  ],
  'A mask or a score change': [
    (code) => `import { place } from './src/masks/place.js';
import { Mask } from './src/masks/index.js';
const { q, k } = place;
${code}`,
  ],
  'An operation': [
    (code) => `import type { Kernel } from './src/codegen/kernel.js';
import type { Device } from './src/devices/index.js';
import { parameterList } from './src/kernels/parameters.js';
import { empty, operation, type Tensor } from './src/tensor/index.js';
import { mul } from './src/ops/index.js';
declare const shape: readonly number[], device: Device, kernel: Kernel, x: Tensor, factor: Tensor, count: number, tasks: number;
const parameters = parameterList({ x: 'pointer', out: 'pointer', count: 'i32' });
${code}`,
  ],
  'A layer, a model': [
    (code) => `import type { Outcome } from './src/nn/outcome.js';
import type { Parameter } from './src/nn/index.js';
import type { Tensor } from './src/tensor/index.js';
declare const stream: Tensor, balance: Tensor, load: Tensor, last: Tensor, next: Tensor;
export function forward(this: { readonly centroids: Parameter }): Outcome {
${code}
}`,
    (code) => `import { defineMixer } from './src/nn/mixers/index.js';
import type { Tensor } from './src/tensor/index.js';
declare const paper: { authors: string; title: string; year: number };
declare function pairs(x: Tensor): Tensor;
${code}`,
    (code) => `import { DenseFeedForward, defineFeedForward } from './src/nn/feed-forward/index.js';
declare const paper: { authors: string; title: string; year: number };
${code}`,
  ],
  'A kernel': [
    (code) => `import type { Kernel } from './src/codegen/kernel.js';
import type { Pointer } from './src/codegen/vector.js';
import { parameterList } from './src/kernels/parameters.js';
${code}
export { scale };`,
    (code) => `import type { Pointer } from './src/codegen/vector.js';
import { defineKernel } from './src/index.js';
import type { Tensor } from './src/tensor/index.js';
${code}
export { scaled };`,
  ],
};

/** A line for each error. */
export function compileInside(root) {
  const sections = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8').split(/^## /m).slice(1);
  const problems = [];
  const texts = new Map();
  for (const section of sections) {
    const title = section.split('\n', 1)[0];
    const blocks = [...section.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code);
    const own = around[title] ?? [];
    if (blocks.length !== own.length) {
      problems.push(
        `CONTRIBUTING.md, ${title}: ${blocks.length} blocks, and scripts/snippets-inside.mjs knows ${own.length}`,
      );
    }
    own.forEach(
      (wrap, i) => blocks[i] && texts.set(join(root, `contributing-${texts.size}.ts`), [title, wrap(blocks[i])]),
    );
  }
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [], files: [] }, ts.sys, root);
  const settings = { ...options, incremental: false, tsBuildInfoFile: undefined };
  const host = ts.createCompilerHost(settings);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => texts.has(path) || fileExists(path);
  host.readFile = (path) => texts.get(path)?.[1] ?? readFile(path);
  host.getSourceFile = (path, ...rest) =>
    texts.has(path) ? ts.createSourceFile(path, texts.get(path)[1], ...rest) : getSourceFile(path, ...rest);
  const types = join(root, 'types');
  const program = ts.createProgram([...texts.keys(), ...ts.sys.readDirectory(types, ['.ts'])], settings, host);
  for (const [path, [title]] of texts) {
    const file = program.getSourceFile(path);
    for (const { messageText } of [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]) {
      problems.push(`CONTRIBUTING.md, ${title}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`);
    }
  }
  return problems;
}
