import { describe, expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import { openCorpus, type Split, splitCorpus } from '../../src/data/index.js';
import { fileOf } from './folder.js';

const split = (texts: readonly (string | Uint8Array)[], share: number): Split =>
  splitCorpus(openCorpus(texts.map((text) => fileOf(text))), share);
const a = (n: number): string => 'a'.repeat(n);

describe('splitCorpus', () => {
  test('the parts are the text, the validation part is its tail', () => {
    const { train, validation, boundary } = split([a(1000)], 0.25);
    expect([train.size, validation.size, boundary]).toEqual([750, 250, 'character']);
    const bytes = new Uint8Array(250);
    validation.read(0, bytes);
    expect(bytes.every((byte) => byte === 97)).toBe(true);
  });

  test('at the nearest end of a document, if near', () => {
    const near = split([a(880), a(9), a(111)], 0.1);
    expect([near.train.size, near.boundary]).toEqual([889 + 11, 'character']);
    const nearer = split([a(885), a(9), a(106)], 0.1);
    expect([nearer.train.size, nearer.boundary]).toEqual([894, 'document']);
    expect(nearer.validation.documents.map(({ start, length }) => [start, length])).toEqual([[0, 106]]);
  });

  test('a document that is cut belongs to both', () => {
    const { train, validation } = split([a(500), a(500)], 0.3);
    expect(train.documents.map(({ length }) => length)).toEqual([500, 200]);
    expect(validation.documents.map(({ length }) => length)).toEqual([300]);
  });

  test('at the nearest end of a line, if no document ends near; a document goes first', () => {
    const line = `${a(896)}\n${a(5)}\n${a(97)}`;
    const one = split([line], 0.1);
    expect([one.train.size, one.boundary]).toEqual([897, 'line']);
    const both = split([line.slice(0, 908), line.slice(908)], 0.1);
    expect([both.train.size, both.boundary]).toEqual([908, 'document']);
    // a tenth of the smaller side is the limit
    expect(split([`${a(888)}\n${a(111)}`], 0.1).boundary).toBe('character');
    expect(split([`${a(889)}\n${a(110)}`], 0.1).boundary).toBe('line');
    // and 4096 bytes
    expect(split([`${a(50_000 - 4097)}\n${a(54_096)}`], 0.5).boundary).toBe('line');
    expect(split([`${a(50_000 - 4098)}\n${a(54_097)}`], 0.5).boundary).toBe('character');
  });

  test('never within a character; bytes that are no UTF-8 are cut anywhere', () => {
    expect(split(['€€'], 0.5).train.size).toBe(3);
    expect(split(['a€€€'], 0.5).train.size).toBe(7);
    expect(split([new Uint8Array(10).fill(0x80)], 0.5).train.size).toBe(5);
  });

  test('refusals', () => {
    for (const share of [0, 1, -0.1, NaN, 2]) expect(() => split(['text'], share)).toThrow(OptionError);
    expect(() => split(['text'], 0.01)).toThrow('a share of 0.01 of 4 bytes leaves a part empty');
    expect(split(['ab'], 0.5).train.size).toBe(1);
  });
});
