import { expect, test } from 'vitest';
import { textNames, trainedOn } from '../../src/studies/trained-on.js';

test('what a run writes beside its weights', () => {
  const data = { texts: ['a/one.txt', 'two'], validation: 0.05, tokeniser: null };
  expect(trainedOn({ data, best: { step: 3, loss: Math.LN2 } })).toEqual({
    texts: ['one.txt', 'two'],
    validation: 0.05,
    bitsPerByte: 1,
  });
});

test('no texts are the bundled novel; nothing said is nothing known', () => {
  expect(trainedOn({ data: { texts: [] } }).texts).toEqual(['pride-and-prejudice.txt']);
  const nothing = { texts: undefined, validation: undefined, bitsPerByte: undefined };
  for (const json of [{}, { data: null }, { data: [1] }, { data: { texts: 'x', validation: '1' }, best: null }]) {
    expect(trainedOn(json)).toEqual(nothing);
  }
});

test('a loss per token is no loss per byte', () => {
  expect(trainedOn({ data: { texts: [], tokeniser: 'bpe.json' }, best: { loss: 3 } }).bitsPerByte).toBeUndefined();
});

test('a few names, or how many there are', () => {
  expect(textNames(['a', 'b', 'c'])).toBe('a, b, c');
  expect(textNames(['a', 'b', 'c', 'd'])).toBe('4 texts');
});
