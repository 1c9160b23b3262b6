import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDevice, full, liveTensors, scope, tensor, type Device } from '../../src/index.js';
import { disposeAll } from '../../src/tensor/index.js';
import { runExample } from './examples.js';

const root = join(import.meta.dirname, '../../src');
const sources = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));

/** The code after `@example` in each doc comment. */
function examplesOf(name: string): readonly string[] {
  const comments = readFileSync(join(root, name), 'utf8').match(/\/\*\*[\s\S]*?\*\//g) ?? [];
  return comments
    .map((comment) => /@example\s([\s\S]*?)(?:@\w|\*\/$)/.exec(comment)?.[1])
    .filter((code) => code !== undefined)
    .map((code) => code.replace(/^\s*\* ?/gm, '').trim());
}

const examples = sources.flatMap((name) => examplesOf(name).map((code, i) => ({ title: `${name} ${i + 1}`, code })));

describe('examples in docstrings run, and give what they say', () => {
  let device: Device;
  beforeAll(async () => {
    device = await createDevice({ kind: 'wasm', threads: 1 });
  });
  afterAll(() => device.dispose());

  test('there are examples', () => expect(examples.length).toBeGreaterThan(10));

  test.each(examples)('$title', async ({ code }) => {
    const before = liveTensors();
    const given = {
      q: full([1, 2, 8, 4], 0.5, { device }),
      k: full([1, 2, 8, 4], 0.25, { device }),
      v: full([1, 2, 8, 4], 1, { device }),
      x: full([1, 8, 2, 16], -1, { device }),
      slope: tensor([0.1], [1], { device }),
    };
    const claims = await scope(() => runExample(code, { ...given, device }));
    for (const { line, actual, stated } of claims) {
      const flat = Array.isArray(actual) && Array.isArray(stated) ? stated.flat(Infinity) : stated;
      const one =
        Array.isArray(actual) && actual.length === 1 && !Array.isArray(flat) ? (actual as unknown[])[0] : actual;
      expect({ line, value: one }).toEqual({ line, value: flat });
    }
    disposeAll(given);
    expect(liveTensors()).toBe(before);
  });
});
