import { describe, expect, test } from 'vitest';
import { compile } from '../../src/codegen/expression/index.js';
import { maskGrammar, maskWords, namedMask } from '../../src/studies/mask-names.js';

const S = 24;
function allowed(name: string): string[] {
  const { causal, mask } = namedMask(name);
  const sees = mask && compile(mask.expression({ B: 1, H: 1, G: 1, L: S, S }), ['b', 'h', 'q', 'k']);
  return Array.from({ length: S }, (_, q) =>
    Array.from({ length: S }, (_, k) => Number((!causal || k <= q) && (sees?.(0, 0, q, k) ?? 1) !== 0)).join(''),
  );
}
const by = (rule: (q: number, k: number) => boolean): string[] =>
  Array.from({ length: S }, (_, q) => Array.from({ length: S }, (_, k) => Number(rule(q, k))).join(''));

test.each<[name: string, rule: (q: number, k: number) => boolean]>([
  ['none', () => true],
  ['causal', (q, k) => k <= q],
  ['none/causal', (q, k) => k <= q],
  ['radius:3', (q, k) => Math.abs(q - k) <= 3],
  ['causal-window:4', (q, k) => k <= q && q - k < 4],
  ['dilated:2:3', (q, k) => (q - k) % 2 === 0 && Math.abs(q - k) <= 6],
  ['strided:5', (q, k) => Math.abs(q - k) < 5 || (q - k) % 5 === 0],
  ['fixed:6:2', (q, k) => Math.floor(q / 6) === Math.floor(k / 6) || k % 6 >= 4],
  ['blocks:7', (q, k) => Math.floor(q / 7) === Math.floor(k / 7)],
  ['prefix:5', (q, k) => k < 5 || k <= q],
  ['global:2', (q, k) => q < 2 || k < 2],
  ['radius:1+global:1', (q, k) => Math.abs(q - k) <= 1 || q < 1 || k < 1],
  ['radius:1+global:1/causal', (q, k) => k <= q && (Math.abs(q - k) <= 1 || k < 1)],
])('%s', (name, rule) => expect(allowed(name)).toEqual(by(rule)));

test('bigbird: a window of 3 blocks, 2 global blocks both ways, at most 3 more per row of blocks', () => {
  const rows = allowed('bigbird:2');
  const block = (q: number, k: number): boolean => rows[2 * q]![2 * k] === '1';
  for (let q = 0; q < S / 2; q++) {
    let more = 0;
    for (let k = 0; k < S / 2; k++) {
      const fixed = Math.abs(q - k) <= 1 || q < 2 || k < 2;
      if (fixed !== block(q, k)) more += fixed ? Infinity : 1;
    }
    expect(more).toBeLessThanOrEqual(3);
  }
  // blocks are whole
  expect(rows.every((row, q) => row === rows[q - (q % 2)])).toBe(true);
  expect(allowed('bigbird:2')).toEqual(rows);
});

describe('what a mask stands in for', () => {
  test.each([
    ['none', 'full'],
    ['radius:3', 'full'],
    ['prefix:3', 'full'],
    ['causal', 'causal'],
    ['causal-window:3', 'causal'],
    ['causal-window:3+global:1', 'full'],
    ['strided:3/causal', 'causal'],
  ])('%s: %s', (name, target) => expect(namedMask(name).target).toBe(target));
});

test.each([
  ['radus:3', 'unknown mask "radus" (did you mean "radius"?)'],
  ['radius', 'takes the form radius:R with whole numbers; got "radius"'],
  ['radius:3:4', 'takes the form radius:R'],
  ['dilated:3', 'takes the form dilated:D:S'],
  ['radius:-3', 'takes the form radius:R'],
  ['radius:3/non-causal', 'only "/causal" may follow a mask'],
  ['radius:3+causal', '"causal" stands alone'],
  ['', 'unknown mask ""'],
  ['blocks:0', 'blocks: size must be a whole number from 1'],
  ['bigbird:0', 'bigbird: size must be a whole number from 1 to 2^31 - 1; got 0'],
])('%j is refused', (name, message) => expect(() => namedMask(name)).toThrow(message));

test('the help names every word', () => {
  for (const word of Object.keys(maskWords)) expect(maskGrammar).toContain(`\n  ${word}:`);
});
