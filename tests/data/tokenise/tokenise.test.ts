// of data/tokenise/{texts,token-file,tokeniser}

import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { FormatError, OptionError } from '../../../src/core/errors.js';
import {
  Batches,
  byteTokeniser,
  type Corpus,
  loadTokeniser,
  openCorpus,
  type TokenFile,
  tokeniseCorpus,
  type Tokeniser,
  trainBpe,
} from '../../../src/data/index.js';
import { fileOf, temporaryFolder } from '../folder.js';

const PROSE = 'The cat  sat on the mat.\nThe mat, it was\n\n flat! \n  Das heißt: 猫。\r\nThe end of the cat';
let bpe: Tokeniser;
beforeAll(async () => {
  // with tokens of several spaces, which depend on what comes after them
  const text = PROSE.repeat(2) + 'x  \n\n \r\n\r\n\n x\t\t x'.repeat(9);
  bpe = await loadTokeniser(fileOf(trainBpe(openCorpus([fileOf(text)]), 320).json));
});

const read = (file: TokenFile | Corpus, begin = 0, end = file.size): number[] => {
  const ids = new Int32Array(end - begin);
  file.read(begin, ids);
  return [...ids];
};
const place = (): string => join(temporaryFolder(), 'run', 'text.tokens');

describe('tokeniseCorpus', () => {
  test('tokens of each document, and where they begin', () => {
    const texts = [PROSE, 'x', 'The cat\n'];
    const file = tokeniseCorpus(openCorpus(texts.map((text) => fileOf(text))), bpe, place());
    const expected = texts.map((text) => [...bpe.encode(text)]);
    expect(read(file)).toEqual(expected.flat());
    expect(file.documents.map(({ length }) => length)).toEqual(expected.map(({ length }) => length));
    expect(file.documents.map(({ start }) => file.documentAt(start))).toEqual([0, 1, 2]);
    expect(file.vocabulary).toBe(bpe.vocabulary);
    expect(file.bytesPerToken).toBe(Buffer.byteLength(texts.join('')) / file.size);
    expect(read(file, 3, 9)).toEqual(expected.flat().slice(3, 9));
    expect(() => file.read(0, new Int32Array(file.size + 1))).toThrow(OptionError);
    expect(() => file.documentAt(file.size)).toThrow(OptionError);
  });

  test('wherever prose is cut in pieces, the tokens are those of the whole', () => {
    const word = fc.constantFrom('The', 'cat', "it's", '12', '。', '猫', 'mat.', '(x)', '😀');
    const gap = fc.constantFrom(' ', ' ', '\n', '\n', '\n\n', '  ', ' \n', '\r\n', '\t');
    fc.assert(
      fc.property(
        fc.array(fc.tuple(word, gap), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 20, max: 60 }),
        (pieces, chunk) => {
          // often enough to be cut there
          const text = pieces.map((pair, i) => pair.join('') + (i % 4 === 0 ? 'a b\nc' : '')).join('');
          const file = tokeniseCorpus(openCorpus([fileOf(text)]), bpe, place(), { chunk });
          expect(read(file)).toEqual([...bpe.encode(text)]);
        },
      ),
      { numRuns: 100 },
    );
  });

  test('text without a place to cut, and bytes that are no text, are cut and read all the same', () => {
    const long = '猫'.repeat(100) + '😀'.repeat(100);
    const file = tokeniseCorpus(openCorpus([fileOf(long)]), bpe, place(), { chunk: 7 });
    expect(bpe.decode(read(file))).toBe(long);
    const noise = Uint8Array.from({ length: 999 }, (_, i) => (i * 89 + (i >> 3) * 7) & 255);
    const read2 = tokeniseCorpus(openCorpus([fileOf(noise)]), bpe, place(), { chunk: 16 });
    expect(bpe.decode(read(read2))).toBe(new TextDecoder('utf-8', { ignoreBOM: true }).decode(noise));
  });

  test('large vocabularies take 32 bits', () => {
    const wide: Tokeniser = {
      ...byteTokeniser,
      vocabulary: 70_000,
      encode: (text) => byteTokeniser.encode(text).map((id) => id + 69_000),
    };
    const path = place();
    expect(read(tokeniseCorpus(openCorpus([fileOf('ab')]), wide, path))).toEqual([69_097, 69_098]);
    const largest = { ...byteTokeniser, vocabulary: 65_536, encode: () => Int32Array.of(65_535) };
    expect(read(tokeniseCorpus(openCorpus([fileOf('ab')]), largest, path))).toEqual([65_535]);
  });

  test('made once; made again when the text, the part taken of it, or the tokeniser is another', () => {
    const [text, path] = [fileOf(PROSE), place()];
    let calls = 0;
    const counting = (fingerprint = 'a'): Tokeniser => ({
      ...byteTokeniser,
      fingerprint,
      encode: (text) => (calls++, byteTokeniser.encode(text)),
    });
    const made = (corpus: Corpus, tokeniser = counting()): number => {
      calls = 0;
      tokeniseCorpus(corpus, tokeniser, path);
      return calls;
    };
    expect([made(openCorpus([text])), made(openCorpus([text]))]).toEqual([1, 0]);
    expect(made(openCorpus([text]), counting('b'))).toBe(1);
    const part = (): Corpus => openCorpus([text]).slice(3, 9);
    expect([made(part(), counting('b')), made(part(), counting('b'))]).toEqual([1, 0]);
    utimesSync(text, 1, 1);
    expect(made(part(), counting('b'))).toBe(1);
    expect(readdirSync(join(path, '..'))).toEqual(['text.tokens']);
  });

  test('batches are of tokens, in streams too', () => {
    const file = tokeniseCorpus(openCorpus([fileOf(PROSE)]), bpe, place());
    const ids = read(file);
    const batches = new Batches(file, { batchSize: 2, length: 5, order: 'streams' });
    const second = 5 * (batches.windows / 2);
    expect([...batches.batch(1)]).toEqual([...ids.slice(5, 11), ...ids.slice(second + 5, second + 11)]);
    expect(() => new Batches(file, { batchSize: 1, length: 500 })).toThrow(`501 tokens, the text has ${file.size}`);
  });

  test('progress is told', () => {
    const told: (readonly [number, number])[] = [];
    const progress = (tokens: number, part: number): unknown => told.push([tokens, part]);
    tokeniseCorpus(openCorpus([fileOf('a b\n'.repeat(50))]), bpe, place(), { chunk: 50, progress });
    expect(told.length).toBeGreaterThan(2);
    expect(told.at(-1)![1]).toBe(1);
  });
});

describe('what can go wrong', () => {
  test('another file in its place is left alone', () => {
    const path = fileOf('my own text, which is long enough to have an end');
    expect(() => tokeniseCorpus(openCorpus([fileOf('ab')]), bpe, path)).toThrow(FormatError);
    expect(readFileSync(path, 'utf8')).toMatch(/^my own/);
    expect(() => tokeniseCorpus(openCorpus([fileOf('ab')]), bpe, fileOf('x'))).toThrow('is no token file');
  });

  test('a failure leaves nothing behind', () => {
    const path = place();
    const failing: Tokeniser = {
      ...byteTokeniser,
      encode: () => {
        throw new FormatError('no');
      },
    };
    expect(() => tokeniseCorpus(openCorpus([fileOf('ab')]), failing, path)).toThrow('no');
    expect(readdirSync(join(path, '..'))).toEqual([]);
    const within = join(fileOf('x'), 'a', 'b');
    expect(() => tokeniseCorpus(openCorpus([fileOf('ab')]), bpe, within)).toThrow('cannot be written (');
    expect(existsSync(within)).toBe(false);
  });

  test('a file that was cut, or has more than it says', () => {
    const path = place();
    const corpus = openCorpus([fileOf(PROSE)]);
    const again = (): TokenFile => tokeniseCorpus(corpus, bpe, path);
    const whole = (again(), readFileSync(path));
    truncateSync(path, statSync(path).size - 1);
    expect(again).toThrow('is no token file, or is cut short');
    writeFileSync(path, whole.subarray(2));
    expect(again).toThrow('has another size than it says');
    writeFileSync(path, whole.subarray(whole.length - 30));
    expect(again).toThrow('has a description longer than itself');
    const file = (writeFileSync(path, whole), again());
    appendFileSync(path, 'x');
    expect(() => read(file)).toThrow('was changed');
  });

  test('options', () => {
    const of = (options: object): unknown => tokeniseCorpus(openCorpus([fileOf('ab')]), bpe, place(), options);
    expect(() => of({ chunk: 3 })).toThrow(OptionError);
    expect(() => of({ chunks: 8 })).toThrow('did you mean "chunk"?');
  });
});
