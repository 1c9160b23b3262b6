// of data/tokenise/train-bpe

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CapabilityError, FormatError, OptionError } from '../../../src/core/errors.js';
import { byteTokeniser, loadTokeniser, openCorpus, type Tokeniser, trainBpe } from '../../../src/data/index.js';
import { fileOf } from '../folder.js';

const PROSE =
  'It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife.\n' +
  'However little known the feelings or views of such a man may be on his first entering a neighbourhood, this truth is so\n' +
  "well fixed in the minds of the surrounding families, that he's considered as the rightful property of some one or other\n\n" +
  'of their daughters. — „Schön“, 1234 + 5678, 日本語 日本 😀😀\t\tend';

interface File {
  model: { vocab: Record<string, number>; merges: [string, string][] };
}
const corpusOf = (text: string | Uint8Array): ReturnType<typeof openCorpus> => openCorpus([fileOf(text)]);
const trained = (text: string, vocabulary: number): { file: File; json: string } => {
  const { json } = trainBpe(corpusOf(text), vocabulary);
  return { json, file: JSON.parse(json) as File };
};
const load = (json: string): Promise<Tokeniser> => loadTokeniser(fileOf(json, 'tokenizer.json'));

/** The definition: in each word of GPT-2's pattern, the pair of the earliest merge is joined, wherever it stands, until none is left. */
function naive({ model }: File, text: string): number[] {
  // bytes as the visible characters that GPT-2's encoder gives them
  const names: string[] = [];
  for (let byte = 0, other = 256; byte < 256; byte++) {
    const shown = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    names.push(String.fromCodePoint(shown ? byte : other++));
  }
  const ranks = new Map(model.merges.map((pair, rank) => [pair.join(' '), rank]));
  const words = text.match(/'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu) ?? [];
  return words.flatMap((word) => {
    let parts = [...Buffer.from(word)].map((byte) => names[byte]!);
    for (;;) {
      const best = Math.min(...parts.slice(1).map((part, i) => ranks.get(`${parts[i]} ${part}`) ?? Infinity));
      if (best === Infinity) break;
      const [a, b] = model.merges[best]!;
      const joined: string[] = [];
      for (let i = 0; i < parts.length; i++) {
        const both = parts[i] === a && parts[i + 1] === b;
        joined.push(both ? a + b : parts[i]!);
        if (both) i++;
      }
      parts = joined;
    }
    return parts.map((part) => model.vocab[part]!);
  });
}

describe('trainBpe', () => {
  test('by hand: the most frequent pair first, of several the one of the smallest ids', () => {
    // "ab" 4 times, then "abc" 2 times; " d" and the rest only once
    const { file } = trained('abab abcabc d', 300);
    expect(file.model.merges).toEqual([
      ['a', 'b'],
      ['ab', 'c'],
    ]);
    expect(Object.keys(file.model.vocab)).toHaveLength(258);
    expect(trained('xyxy baba', 257).file.model.merges).toEqual([['b', 'a']]);
    expect(trainBpe(corpusOf('abab abcabc d'), 300).vocabulary).toBe(258);
    expect(trained('abab', 256).file.model.merges).toEqual([]);
  });

  test('the same text gives the same file', () => {
    expect(trained(PROSE, 320).json).toBe(trained(PROSE, 320).json);
  });

  test('the library encodes by the file as its definition says, and decodes to the text', async () => {
    const { json, file } = trained(PROSE.repeat(2), 340);
    const tokeniser = await load(json);
    expect(tokeniser.vocabulary).toBe(340);
    expect([...tokeniser.encode(PROSE)]).toEqual(naive(file, PROSE));
    expect(tokeniser.encode(PROSE).length).toBeLessThan(0.7 * Buffer.byteLength(PROSE));
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.constantFrom('the ', "he's ", 'man', ' \n', '\ufeff', '日本', ' 12'),
            fc.string({ unit: 'binary' }),
          ),
          { maxLength: 8 },
        ),
        (pieces) => {
          const text = pieces.join('');
          const ids = tokeniser.encode(text);
          expect([...ids]).toEqual(naive(file, text));
          expect(tokeniser.decode(ids)).toBe(text);
          const stream = tokeniser.decoder();
          const shown = [...ids].map((id) => stream.push([id])).join('') + stream.end();
          const whole = byteTokeniser.decoder();
          expect(shown).toBe(whole.push(Buffer.from(text)) + whole.end());
        },
      ),
      { numRuns: 100 },
    );
  });

  test('random texts of few letters, where merges overlap and meet', async () => {
    const samples = fc.sample(fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' '), minLength: 30, maxLength: 80 }), {
      seed: 5,
      numRuns: 20,
    });
    for (const text of samples) {
      const { json, file } = trained(text, 280);
      // no two merges make the same token
      expect(Object.keys(file.model.vocab)).toHaveLength(256 + file.model.merges.length);
      expect([...(await load(json)).encode(text)]).toEqual(naive(file, text));
    }
  });

  test('refusals', () => {
    for (const vocabulary of [255, 1000.5, 2 ** 20 + 1, NaN]) {
      expect(() => trainBpe(corpusOf('text'), vocabulary)).toThrow(OptionError);
    }
  });
});

describe('loadTokeniser', () => {
  test('bytes that are no UTF-8 become U+FFFD; as byte tokens they come back', async () => {
    const broken = Uint8Array.of(0x61, 0xff, 0x62, 0xe2, 0x82);
    const tokeniser = await load(trained('ab', 256).json);
    expect(tokeniser.decode(tokeniser.encode(broken))).toBe('a\ufffdb\ufffd');
    expect(Uint8Array.from(byteTokeniser.encode(broken))).toEqual(broken);
    expect(byteTokeniser.decode(broken)).toBe('a\ufffdb\ufffd');
    expect([...byteTokeniser.encode('é')]).toEqual([0xc3, 0xa9]);
  });

  test('tokens that never complete a character are shown in the end, and control nothing', async () => {
    const stream = (await load(trained('ab', 256).json)).decoder();
    const shown = Array.from({ length: 20 }, () => stream.push([0x80])).join('');
    expect(shown.length).toBeGreaterThan(10);
    expect(stream.end()).toMatch(/^\ufffd*$/);
    expect(stream.push([0x1b, 0x61])).toBe('␛a');
    expect([stream.push([0xf0, 0x9f]), stream.push([0x98, 0x80])]).toEqual(['', '😀']);
  });

  test('a token whose text depends on the one before it is shown as in the whole text', async () => {
    // the first mark of a text is no space
    const space = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' };
    const vocab = { '▁': 0, a: 1, b: 2, '▁a': 3, '▁b': 4 };
    const merges = ['▁ a', '▁ b'];
    const model = { type: 'BPE', vocab, merges, unk_token: null, fuse_unk: false, byte_fallback: false };
    const file = {
      added_tokens: [],
      normalizer: null,
      post_processor: null,
      pre_tokenizer: space,
      decoder: space,
      model,
    };
    const tokeniser = await load(JSON.stringify(file));
    const ids = [...tokeniser.encode('a b ab')];
    expect(ids).toEqual([3, 4, 3, 2]);
    const stream = tokeniser.decoder();
    expect(ids.map((id) => stream.push([id]))).toEqual(['a', ' b', ' a', 'b']);
    stream.end();
    expect(stream.push([4])).toBe('b');
  });

  test('nothing is nothing; ids outside are refused', async () => {
    const tokeniser = await load(trained('ab', 256).json);
    expect([tokeniser.encode(''), tokeniser.decode([])]).toEqual([new Int32Array(0), '']);
    for (const id of [-1, 256, 0.5]) expect(() => tokeniser.decode([id])).toThrow('ids must be 0 to 255');
  });

  test('equal files have one fingerprint, others another', async () => {
    const [one, two] = [trained(PROSE, 260).json, trained(PROSE, 261).json];
    expect((await load(one)).fingerprint).toBe((await load(one)).fingerprint);
    expect((await load(one)).fingerprint).not.toBe((await load(two)).fingerprint);
  });

  test('without the package, the command that installs it', async () => {
    const missing = loadTokeniser(fileOf('{}'), () => Promise.reject(new Error('Cannot find package')));
    await expect(missing).rejects.toThrow(CapabilityError);
    await expect(missing).rejects.toThrow('run: npm install @huggingface/tokenizers');
  });

  test.each([
    ['{', 'is no tokenizer'],
    ['{}', 'Tokenizer must contain'],
    ['3', 'is no tokenizer'],
    ['null', 'is no tokenizer'],
    ['{"model": {"type": "BPE"}, "decoder": null}', 'is no tokenizer'],
  ])('%s', async (json, message) => {
    await expect(load(json)).rejects.toThrow(FormatError);
    await expect(load(json)).rejects.toThrow(message);
  });

  test('a file that is not there', async () => {
    await expect(loadTokeniser('/nowhere.json')).rejects.toThrow('cannot be read (it does not exist)');
  });
});
