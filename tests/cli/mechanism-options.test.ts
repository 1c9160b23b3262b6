import { expect, test } from 'vitest';
import { mechanism } from '../../src/attention/index.js';
import { chooseMechanism, chooseVariants, readMechanism, withSet } from '../../src/cli/mechanism-options.js';

const window = mechanism('sliding-window');

test.each([
  ['sliding-window', []],
  ['sliding-window:radius=64', []],
  ['sliding-window', ['radius=64']],
  ['sliding-window', ['sliding-window:radius=64']],
  // as it was before there was one syntax
  ['sliding-window', ['sliding-window.radius=64']],
])('%s --set %j', (word, set) => {
  const options = word === 'sliding-window' && set.length === 0 ? {} : { radius: 64 };
  expect(chooseMechanism('x', word, set)).toEqual({ mechanism: window, options });
  expect(chooseVariants('x', [word], set)).toMatchObject([{ mechanism: window, options }]);
});

test('several options, lists and points in numbers', () => {
  const read = (word: string, ...set: string[]) => chooseMechanism('x', word, set).options;
  expect(read('chunked:queryChunk=8:keyChunk=16')).toEqual({ queryChunk: 8, keyChunk: 16 });
  expect(read('chunked:queryChunk=8', 'keyChunk=16')).toEqual({ queryChunk: 8, keyChunk: 16 });
  expect(read('chunked', 'queryChunk=8:keyChunk=16')).toEqual({ queryChunk: 8, keyChunk: 16 });
  expect(read('linear-transformer', 'eps=0.5')).toEqual({ eps: 0.5 });
  expect(read('linear-transformer', 'linear-transformer.eps=0.5')).toEqual({ eps: 0.5 });
  expect(read('longformer', 'dilations=1+2+3')).toEqual({ dilations: [1, 2, 3] });
});

test('of several mechanisms, --set says which; what tables print is what is understood', () => {
  const names = (words: string[], ...set: string[]) => chooseVariants('x', words, set).map(({ name }) => name);
  const both = ['flash', 'sliding-window:radius=3', 'sliding-window:radius=4', 'sliding-window:radius=3'];
  expect(names(both)).toEqual(['flash', 'sliding-window:radius=3', 'sliding-window:radius=4']);
  expect(names(names(both))).toEqual(names(both));
  expect(names(['flash', 'chunked'], 'chunked:keyChunk=8')).toEqual(['flash', 'chunked:keyChunk=8']);
  expect(names(['all']).length).toBeGreaterThan(20);
});

test('what may be set without being chosen is chosen then', () => {
  const reasons: string[] = [];
  const [chosen] = readMechanism('flash', reasons);
  const all = withSet([chosen!], ['standard:headsAtATime=2'], reasons, ['standard']);
  expect(all.map(({ mechanism: { name }, options }) => [name, options])).toEqual([
    ['standard', { headsAtATime: 2 }],
    ['flash', {}],
  ]);
  expect(reasons).toEqual([]);
});

test.each([
  ['slding-window', [], 'x: unknown mechanism "slding-window" (did you mean "sliding-window"?).'],
  [
    'chunked:keychunk=3:queryChunk=x',
    ['keyChunk'],
    'x: chunked: unknown option "keychunk" (did you mean "keyChunk"?); known are queryChunk, keyChunk; ' +
      'chunked: queryChunk must be a whole number of at least 1; got "x"; ' +
      'chunked: keyChunk must be a whole number of at least 1; got "".',
  ],
  ['chunked:keyChunk=3', ['keyChunk=4'], 'x: chunked: keyChunk is given twice.'],
  ['flash', ['chunked:keyChunk=4'], 'x: --set chunked:keyChunk=4: chunked is not among the mechanisms.'],
  ['flash', ['chnked.keyChunk=4'], 'x: unknown mechanism "chnked" (did you mean "chunked"?).'],
  ['flash:', [], 'x: flash: unknown option ""; there are none.'],
])('%s --set %j is refused', (word, set, message) => {
  expect(() => chooseMechanism('x', word, set)).toThrow(message);
});
