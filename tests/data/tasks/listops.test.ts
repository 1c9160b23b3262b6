// of data/tasks/task

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../../src/core/errors.js';
import { evaluateListOps, taskOf } from '../../../src/data/index.js';

const folder = new URL('../../../../shared/data/tasks/listops/', import.meta.url);

/** Lines of the Long Range Arena's generator (Apache-2.0). */
const LINES: readonly (readonly [string, number])[] = [
  ['( ( ( ( ( ( [MAX 4 ) 3 ) 0 ) 1 ) ( ( ( ( ( [MED 9 ) 2 ) 2 ) 8 ) ] ) ) ] )', 5],
  ['( ( ( ( ( ( [SM 3 ) 3 ) 6 ) 0 ) ( ( ( ( [SM 7 ) 8 ) ( ( ( ( ( ( [MIN 5 ) 6 ) 5 ) 9 ) 6 ) ] ) ) ] ) ) ] )', 2],
  ['( ( ( ( ( [SM ( ( ( ( ( ( [MED ( ( ( [MAX 7 ) 2 ) ] ) ) 1 ) 7 ) 0 ) 3 ) ] ) ) 4 ) 4 ) 0 ) ] )', 1],
  [
    '( ( ( [MIN 1 ) ( ( ( ( [MAX ( ( ( [SM 7 ) ( ( ( ( [SM 6 ) 8 ) 7 ) ] ) ) ] ) ) 2 ) ( ( ( ( ( [MED 8 ) 9 ) 3 ) 5 ) ] ) ) ] ) ) ] )',
    1,
  ],
];

describe('evaluateListOps', () => {
  test.each(LINES)('%s', (source, value) => {
    expect(evaluateListOps(source)).toBe(value);
    expect(evaluateListOps(source.replaceAll(/[()]/g, ''))).toBe(value);
  });

  test('each operator, by hand', () => {
    expect(evaluateListOps('7')).toBe(7);
    expect(['MIN', 'MAX', 'MED', 'SM'].map((name) => evaluateListOps(`[${name} 9 2 4 7 ]`))).toEqual([2, 9, 5, 2]);
    expect(evaluateListOps('[MED 3 9 4 ]')).toBe(4);
    expect(evaluateListOps('[MAX 2 9 [MIN 4 7 ] 0 ]')).toBe(9);
  });

  test.each([
    ['', '0 expressions instead of one'],
    ['1 2', '2 expressions'],
    ['[MAX ]', '[MAX ] has no values'],
    ['[MAX 1', '[MAX is not closed'],
    ['1 ]', '"]" closes nothing'],
    ['[AVG 1 ]', 'unknown word "[AVG"'],
    ['[toString 1 ]', 'unknown word'],
    ['10', 'unknown word "10"'],
  ])('%j is refused', (source, message) => {
    expect(() => evaluateListOps(source)).toThrow(FormatError);
    expect(() => evaluateListOps(source)).toThrow(message);
  });

  test.skipIf(!existsSync(folder)).each(['short_test2000.tsv', 'basic_val1000.tsv'])('all answers of %s', (name) => {
    const lines = readFileSync(new URL(name, folder), 'utf8').trim().split('\n').slice(1);
    expect(lines.length).toBeGreaterThan(500);
    for (const line of lines) {
      const [source = '', target] = line.split('\t');
      expect(evaluateListOps(source)).toBe(Number(target));
    }
  });
});

describe('the task', () => {
  const expressions = (length: number, count: number): string[] =>
    Array.from({ length: count }, (_, index) =>
      String.fromCharCode(...taskOf('listops').sample(1, index, length).tokens)
        .trim()
        .replace('=', ''),
    );

  test('lists are at most ten deep with 2 to 10 arguments; all operators and answers occur', () => {
    const all = [...expressions(300, 100), ...expressions(2000, 20)];
    for (const expression of all) {
      const open: number[] = [];
      let deepest = 0;
      for (const word of expression.split(' ')) {
        if (word === ']') expect(open.pop()).toSatisfy((n: number) => n >= 2 && n <= 10);
        else if (open.length > 0) open[open.length - 1]!++;
        if (word.startsWith('[')) deepest = Math.max(deepest, open.push(0));
      }
      expect(deepest).toBeLessThanOrEqual(10);
    }
    for (const name of ['MIN', 'MAX', 'MED', 'SM']) expect(all.join()).toContain(`[${name}`);
    expect(new Set(all.map(evaluateListOps)).size).toBe(10);
  });

  test('most take at least half the room', () => {
    const full = expressions(300, 100).filter((expression) => expression.length >= 150 && expression.length <= 299);
    expect(full.length).toBeGreaterThan(90);
  });
});
