import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as attention from '../../src/attention/index.js';
import { mechanism, mechanisms, type AttentionShape, type Mechanism } from '../../src/attention/index.js';
import { resolveOptions } from '../../src/attention/options.js';

const root = join(import.meta.dirname, '../..');

/** The file that defines a mechanism, without ending, under its family. */
function fileOf({ name, definition: { family } }: Mechanism): string | undefined {
  const folder = join(root, 'src/attention', family);
  return readdirSync(folder)
    .filter((file) => file.endsWith('.ts'))
    .find((file) => readFileSync(join(folder, file), 'utf8').includes(`name: '${name}'`))
    ?.replace(/\.ts$/, '');
}

const shapeOf = (n: number): AttentionShape => ({ B: 1, H: 4, G: 4, L: n, S: n, D: 64, E: 64 });

test('names are unique, and each is found by its name', () => {
  expect(mechanisms.length).toBeGreaterThan(0);
  const names = mechanisms.map(({ name }) => name);
  expect(names).toEqual([...new Set(names)]);
  for (const one of mechanisms) expect(mechanism(one.name)).toBe(one);
  expect(() => mechanism(`${names[0]}x`)).toThrow(`did you mean "${names[0]}"?`);
});

test('an option of one name is of one type in all mechanisms', () => {
  const types = new Map<string, string>();
  for (const { name, definition } of mechanisms) {
    for (const [option, { type }] of Object.entries(definition.options)) {
      expect(type, `${option} of ${name}`).toBe(types.get(option) ?? type);
      types.set(option, type);
    }
  }
});

describe.each(mechanisms.map((one) => [one.name, one] as const))('%s', (name, one) => {
  const { definition } = one;
  const { paper, options, supports } = definition;

  test('says what it is, where it is from and what it costs', () => {
    for (const sentence of [definition.summary, ...(definition.relativeToPaper ? [definition.relativeToPaper] : [])]) {
      expect(sentence, 'a sentence').toMatch(/^\S.*[^\s.]\.$/s);
    }
    expect(definition.summary.length).toBeLessThanOrEqual(160);
    expect(definition.formula.trim()).not.toBe('');
    expect(definition.complexity.trim()).not.toBe('');
    expect(paper.authors.trim()).not.toBe('');
    expect(paper.title.trim()).not.toBe('');
    expect(Number.isInteger(paper.year) && paper.year >= 1980 && paper.year <= new Date().getFullYear()).toBe(true);
    if (paper.arxiv !== undefined) expect(paper.arxiv).toMatch(/^(\d{4}\.\d{4,5}|[a-z-]+\/\d{7})$/);
  });

  test('options have help, good names and defaults that are in range at every length', () => {
    for (const [option, { help }] of Object.entries(options)) {
      expect(option, 'a camel-case name').toMatch(/^[a-z][a-zA-Z0-9]*$/);
      // it has six meanings: radius, left and right, causalWindow
      expect(option).not.toBe('window');
      expect(help.trim(), `help of ${option}`).not.toBe('');
      expect(help, `help of ${option} is one line`).not.toContain('\n');
    }
    for (const n of [1, 2, 7, 64, 100, 4096, 1_000_003]) {
      expect(resolveOptions(options, {}, shapeOf(n)).refused, `at ${n} tokens`).toEqual([]);
    }
  });

  test('costs a positive number of operations that grows with the length', () => {
    const causal = supports.causal === 'only';
    const cost = (n: number): number => {
      const shape = shapeOf(n);
      const { values } = resolveOptions(options, {}, shape);
      return definition.cost(shape, values, causal).multiplyAdds;
    };
    for (const n of [256, 1024]) expect(Number.isFinite(cost(n)) && cost(n) >= 0).toBe(true);
    expect(cost(4096)).toBeGreaterThanOrEqual(cost(1024));
  });

  test('is exported, and its own test file puts it through the gate', () => {
    const exported = Object.entries(attention).find(([, value]) => value === (one as unknown))?.[0];
    expect(exported, `${name} is exported from src/attention/index.ts`).toBeDefined();
    const file = fileOf(one);
    expect(file, `a file of src/attention/${definition.family} says name: '${name}'`).toBeDefined();
    const path = join('tests/attention', definition.family, `${file}.test.ts`);
    expect(existsSync(join(root, path)), `${path} is there`).toBe(true);
    expect(readFileSync(join(root, path), 'utf8'), path).toMatch(new RegExp(`\\bgate\\(\\s*${exported}\\b`));
  });
});
