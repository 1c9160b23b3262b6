import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteDecoder } from '../../src/data/index.js';

/** The text of pieces, as a terminal would get it. */
function shown(...pieces: ArrayLike<number>[]): string[] {
  const decoder = new ByteDecoder();
  return [...pieces.map((piece) => decoder.push(piece)), decoder.end()];
}

describe('ByteDecoder', () => {
  test('a character is shown when its last byte is there', () => {
    expect(shown([0x61, 0xe2], [0x82], [0xac, 0x62])).toEqual(['a', '', '€b', '']);
    expect(shown([0xf0, 0x9f], [0x98, 0x80])).toEqual(['', '😀', '']);
  });

  test('what is no UTF-8 is replaced; what is missing at the end too', () => {
    expect(shown([0x61, 0xff, 0x62], [0xe2, 0x82], [0x63])).toEqual(['a�b', '', '�c', '']);
    expect(shown([0xe2, 0x82])).toEqual(['', '�']);
  });

  test('nothing a model generates controls the terminal', () => {
    expect(shown(Buffer.from('\u001b[31m\u0007\0\b\u007f\u009b\tx\n'))).toEqual(['␛[31m␇␀␈␡�\tx\n', '']);
    expect(shown(Buffer.from('a\r\nb\rc'))).toEqual(['a\nb␍c', '']);
    expect(shown([0x0d], [0x0a], [0x0d], [0x61, 0x0d])).toEqual(['', '\n', '', '␍a', '␍']);
  });

  test('after its end, a new text begins', () => {
    const decoder = new ByteDecoder();
    expect([decoder.push([0xe2]), decoder.end(), decoder.push([0x82, 0x61])]).toEqual(['', '�', '�a']);
    expect(shown([0xef, 0xbb, 0xbf, 0x61])).toEqual(['\ufeffa', '']);
  });

  test('whatever the bytes and wherever they are cut, the text is the same, and has no control characters', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 6 })), (pieces) => {
        const whole = shown(Uint8Array.from(pieces.flatMap((piece) => [...piece]))).join('');
        expect(shown(...pieces).join('')).toBe(whole);
        expect(whole).toMatch(/^(?:[\t\n]|\P{Cc})*$/u);
      }),
      { numRuns: 300 },
    );
  });
});
