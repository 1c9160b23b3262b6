import { describe, expect, test } from 'vitest';
import { compile } from '../../src/codegen/expression/index.js';
import { maskForms } from '../../src/studies/mask-forms.js';
import { maskGrammar, namedMask } from '../../src/studies/mask-names.js';

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
  ['within:radius=3', (q, k) => Math.abs(q - k) <= 3],
  ['within:left=4:right=1', (q, k) => q - k <= 4 && k - q <= 1],
  ['within:right=-1:left=4', (q, k) => q - k <= 4 && k < q],
  ['within:causalWindow=4', (q, k) => k <= q && q - k < 4],
  ['dilated:dilation=2:radiusSlots=3', (q, k) => (q - k) % 2 === 0 && Math.abs(q - k) <= 6],
  ['strided:stride=5', (q, k) => Math.abs(q - k) < 5 || (q - k) % 5 === 0],
  ['fixed:columns=2:stride=6', (q, k) => Math.floor(q / 6) === Math.floor(k / 6) || k % 6 >= 4],
  ['blocks:size=7', (q, k) => Math.floor(q / 7) === Math.floor(k / 7)],
  ['prefix:length=5', (q, k) => k < 5 || k <= q],
  ['global:first=2', (q, k) => q < 2 || k < 2],
  ['within:radius=1+global:first=1', (q, k) => Math.abs(q - k) <= 1 || q < 1 || k < 1],
  ['within:radius=1+global:first=1/causal', (q, k) => k <= q && (Math.abs(q - k) <= 1 || k < 1)],
])('%s', (name, rule) => expect(allowed(name)).toEqual(by(rule)));

test('bigbird: a window of 3 blocks, 2 global blocks both ways, at most 3 more per row of blocks', () => {
  const rows = allowed('bigbird:size=2');
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
  expect(allowed('bigbird:size=2')).toEqual(rows);
});

describe('what a mask stands in for', () => {
  test.each([
    ['none', 'full'],
    ['within:radius=3', 'full'],
    ['prefix:length=3', 'full'],
    ['causal', 'causal'],
    ['within:causalWindow=3', 'causal'],
    ['within:left=3:right=0', 'causal'],
    ['within:left=3:right=1', 'full'],
    ['within:causalWindow=3+global:first=1', 'full'],
    ['strided:stride=3/causal', 'causal'],
  ])('%s: %s', (name, target) => expect(namedMask(name).target).toBe(target));
});

test.each([
  ['radius:3', 'within:radius=3'],
  ['causal-window:4', 'within:causalWindow=4'],
  ['dilated:2:3', 'dilated:dilation=2:radiusSlots=3'],
  ['strided:5', 'strided:stride=5'],
  ['fixed:6:2', 'fixed:stride=6:columns=2'],
  ['blocks:7', 'blocks:size=7'],
  ['prefix:5', 'prefix:length=5'],
  ['global:2', 'global:first=2'],
  ['bigbird:2', 'bigbird:size=2'],
  ['radius:09+global:3/causal', 'within:radius=9+global:first=3/causal'],
  ['fixed:columns=2:stride=6', 'fixed:stride=6:columns=2'],
])('%s is %s', (short, name) => {
  expect(namedMask(short).name).toBe(name);
  expect(namedMask(name).name).toBe(name);
  expect(namedMask(short).label).toBe(namedMask(name).label);
  expect(allowed(short)).toEqual(allowed(name));
});

test.each([
  ['radus:3', 'unknown mask "radus" (did you mean "radius"?)'],
  ['radius', 'radius takes the form radius:N, which is within:radius=N; got "radius"'],
  ['radius:3:4', 'radius takes the form radius:N'],
  ['radius:r=3', 'radius takes the form radius:N'],
  ['dilated:3', 'dilated takes the form dilated:N:N, which is dilated:dilation=N:radiusSlots=N; got "dilated:3"'],
  ['within:3', 'within: unknown option "3"; known are radius, left, right, causalWindow'],
  ['within', 'within takes within:radius=N or within:left=N:right=N or within:causalWindow=N; got "within"'],
  ['within:left=3', 'within takes within:radius=N or within:left=N:right=N'],
  ['within:radius=3:left=2', 'within takes within:radius=N or'],
  ['within:raduis=3', 'within: unknown option "raduis" (did you mean "radius"?)'],
  ['within:radius=3:radius=4', 'within: radius is given twice'],
  ['within:radius=', 'within: radius must be a whole number from 0 to 2^31 - 1; got ""'],
  ['within:radius', 'within: radius must be a whole number from 0 to 2^31 - 1; got ""'],
  ['within:radius=1e3', 'within: radius must be a whole number from 0 to 2^31 - 1; got "1e3"'],
  ['within:radius=-3', 'within: radius must be a whole number from 0 to 2^31 - 1; got -3'],
  ['within:left=-3:right=2', 'within: left -3 and right 2 leave no key'],
  ['radius:-3', 'within: radius must be a whole number from 0'],
  ['radius:99999999999', 'within: radius must be a whole number from 0 to 2^31 - 1; got 99999999999'],
  ['constructor:a=1', 'unknown mask "constructor"'],
  ['radius:3/non-causal', 'only "/causal" may follow a mask'],
  ['radius:3+causal', '"causal" stands alone'],
  ['', 'unknown mask ""'],
  ['radius:3+', 'unknown mask ""'],
  ['blocks:0', 'blocks: size must be a whole number from 1'],
  ['bigbird:0', 'bigbird: size must be a whole number from 1 to 2^31 - 1; got 0'],
  ['fixed:stride=4:columns=9', 'columns must be at most stride'],
])('%j is refused', (name, message) => expect(() => namedMask(name)).toThrow(message));

test('every reason is told at once', () => {
  expect(() => namedMask('within:raduis=3+fixed:stride=4:columns=x+nothing:1/casual')).toThrow(
    'mask "within:raduis=3+fixed:stride=4:columns=x+nothing:1/casual": only "/causal" may follow a mask; ' +
      'within: unknown option "raduis" (did you mean "radius"?); known are radius, left, right, causalWindow; ' +
      'fixed: columns must be a whole number from 1 to 2^31 - 1; got "x"; ' +
      'unknown mask "nothing"',
  );
});

test('the help names every form', () => {
  for (const [name, forms] of Object.entries(maskForms)) {
    for (const { options, about } of forms) {
      const words = [name, ...Object.keys(options).map((option) => `${option}=N`)].join(':');
      expect(maskGrammar).toMatch(new RegExp(`\n  ${words} +${about.slice(0, 10)}`));
    }
  }
});
