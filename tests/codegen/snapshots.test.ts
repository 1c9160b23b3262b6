import { expect, test } from 'vitest';
import { liftConstants, variable } from '../../src/codegen/expression/index.js';
import { renderC } from '../../src/codegen/render/c.js';
import { renderWasm } from '../../src/codegen/render/wasm.js';
import { attendForward } from '../../src/kernels/attend/forward.js';
import type { AttendSpec } from '../../src/kernels/attend/spec.js';
import { disassemble } from './disassemble.js';
import { plainAttention, specimen } from './specimen.js';

const golden = (text: string, file: string): Promise<void> => {
  expect(text, 'no path of this machine').not.toContain(process.cwd());
  return expect(text).toMatchFileSnapshot(`__snapshots__/${file}`);
};
/** Without the numbers of locals, of which one more instruction would change all that follow. */
const withoutNumbers = (text: string): string => text.replace(/\bv\d+\b/g, 'v').replace(/\$\d+/g, '$');

const [q, k] = [variable('q', 'i32'), variable('k', 'i32')];
const window = liftConstants(k.le(q).and(q.sub(k).lt(256)));
const masked: AttendSpec = { ...plainAttention, mask: window.expression, constantTypes: window.types };

test('specimen in C', () => golden(renderC(specimen, { width: 16 }), 'specimen.c'));

test('specimen in WebAssembly', () =>
  golden(disassemble(renderWasm(specimen, { relaxed: true })), 'specimen.wasm.txt'));

test.each([
  ['attend-forward', plainAttention],
  ['attend-forward-masked', masked],
])('%s in C', (name, spec) => {
  const text = renderC(attendForward(spec), { width: 16 });
  return golden(withoutNumbers(text.slice(text.indexOf('void subquad_run'))), `${name}.c`);
});

test('attend-forward in WebAssembly', () => {
  const module = renderWasm(attendForward(plainAttention), { relaxed: true });
  return golden(withoutNumbers(disassemble(module)), 'attend-forward.wasm.txt');
});
