import { describe, expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import {
  alternatives,
  anything,
  between,
  checkValue,
  checkValues,
  int32From,
  oneOf,
  positive,
  reasonsAgainst,
  wholeFrom,
} from '../../src/core/requirements.js';

const requirements = { causal: anything, radius: wholeFrom(1), kind: oneOf(['exact', 'learned']), rate: positive };

describe('options', () => {
  test('every reason is named at once, unknown names with the nearest known one', () => {
    const given = { radius: 0, kind: 'exat', casual: true, xyzzy: 1 };
    expect(() => checkValues('attend', given, requirements, ['rate'])).toThrow(OptionError);
    expect(() => checkValues('attend', given, requirements, ['rate'])).toThrow(
      'attend: radius must be a whole number of at least 1; got 0; kind must be "exact" or "learned"; got "exat" (did you mean ' +
        '"exact"?); unknown option "casual" (did you mean "causal"?), "xyzzy"; known are causal, radius, kind, rate; ' +
        'rate is missing; it must be a number above 0.',
    );
  });

  test('inside of others, they are named by their place', () => {
    expect(reasonsAgainst({ radius: 0, rat: 1 }, requirements, ['kind'], 'model')).toEqual([
      'model.radius must be a whole number of at least 1; got 0',
      'unknown option "model.rat" (did you mean "model.rate"?); known are model.causal, model.radius, model.kind, model.rate',
      'model.kind is missing; it must be "exact" or "learned"',
    ]);
    expect(reasonsAgainst(3, requirements, [], 'model')).toEqual([
      'model must be an object { causal, radius, kind, rate }; got 3',
    ]);
  });

  test('undefined stands for one that is not given, whatever its name; names of objects are no options', () => {
    expect(() => checkValues('attend', { radius: undefined, nonsense: undefined }, requirements)).not.toThrow();
    expect(() => checkValues('attend', { toString: 1 }, requirements)).toThrow('unknown option "toString"');
    expect(() => checkValues('attend', -1, requirements)).toThrow('attend: takes its options as an object { causal,');
  });
});

test.each([
  [between(0, 1), [0, 0.5, 1], [-1e-9, 1.1, NaN, Infinity, '1', null]],
  [int32From(1), [1, 2 ** 31 - 1], [0, 1.5, 2 ** 31, NaN, '1']],
  [oneOf(['a', false]), ['a', false], ['b', true, 0, undefined]],
] as const)('%j takes and refuses', (requirement, good, bad) => {
  for (const value of good) expect(() => checkValue('x', 'y', value, requirement)).not.toThrow();
  for (const value of bad)
    expect(() => checkValue('x', 'y', value, requirement)).toThrow(`y must be ${requirement.must}`);
});

test('alternatives', () => {
  expect([[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map(alternatives)).toEqual(['', 'a', 'a or b', 'a, b or c']);
});
