import { expect, test } from 'vitest';
import { parseJson } from '../../src/core/json.js';

const nested = (depth: number): string => `{"a":${'['.repeat(depth - 1)}1${']'.repeat(depth - 1)}}`;

test('values of JSON, as deep as anybody writes them', () => {
  expect(parseJson('{"a": [1, null, {"b": "[[[["}]}')).toEqual({ a: [1, null, { b: '[[[[' }] });
  expect(parseJson('3')).toBe(3);
  expect(parseJson(nested(100))).toHaveProperty('a');
  expect(() => parseJson(nested(101))).toThrow('it is nested more than 100 deep');
  expect(() => parseJson(nested(100_000))).toThrow('it is nested more than 100 deep');
  expect(() => parseJson('{')).toThrow(SyntaxError);
});
