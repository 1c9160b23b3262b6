import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FormatError } from '../../../src/core/errors.js';
import { parseHeader } from '../../../src/train/checkpoint/header.js';
import { openSafetensors } from '../../../src/train/checkpoint/index.js';
import { fileOf, temporaryFolder } from '../../data/folder.js';
import { byHand } from './by-hand.js';

describe('a malformed file is refused in one sentence', () => {
  const w = (offsets: string, rest = '"dtype":"F32","shape":[2]'): string =>
    `{"w":{${rest},"data_offsets":${offsets}}}`;
  const eight = [1, 2, 3, 4, 5, 6, 7, 8];
  const huge = Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, 0, 0x80]), Buffer.from('{}')]);

  test.each<[string, Uint8Array, string]>([
    ['empty', new Uint8Array(), "0 bytes are too short for the header's length, which takes 8."],
    ['seven bytes', new Uint8Array(7), '7 bytes are too short'],
    [
      'header longer than the file',
      byHand('{}').subarray(0, 9),
      'the header should end at byte 10, but the file has 9 bytes.',
    ],
    ['header longer than any', huge, "a header of 9223372036854775809 bytes is more than the format's 100000000."],
    ['no header', byHand(''), 'the header is not JSON in UTF-8.'],
    ['not JSON', byHand('{"w":'), 'the header is not JSON in UTF-8.'],
    ['not UTF-8', byHand(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)), 'the header is not JSON in UTF-8.'],
    ['a list', byHand('[]'), 'the header is not a JSON object.'],
    ['space before the brace', byHand(' {}'), 'the header is not a JSON object.'],
    ['metadata of numbers', byHand('{"__metadata__":{"a":1}}'), '__metadata__ must be an object of texts.'],
    ['metadata text', byHand('{"__metadata__":"a"}'), '__metadata__ must be an object of texts.'],
    ['a number for a tensor', byHand('{"w":3}'), 'tensor "w" must be an object with dtype, shape and data_offsets.'],
    [
      'no dtype',
      byHand(w('[0,8]', '"shape":[2]'), eight),
      'tensor "w" has dtype undefined, which is no name such as "F32".',
    ],
    [
      'a dtype in small letters',
      byHand(w('[0,8]', '"dtype":"f32","shape":[2]'), eight),
      'has dtype "f32", which is no name',
    ],
    ['an F64 of half its bytes', byHand(w('[0,8]', '"dtype":"F64","shape":[2]'), eight), 'F64 of shape [2], takes 16'],
    ['an F4 of no whole byte', byHand(w('[0,8]', '"dtype":"F4","shape":[15]'), eight), 'takes 7.5 bytes; it has 8.'],
    ['a member too many', byHand(w('[0,8]', '"dtype":"F32","shape":[2],"x":1'), eight), 'has the unknown member "x".'],
    [
      'a shape of halves',
      byHand(w('[0,8]', '"dtype":"F32","shape":[2.5]'), eight),
      'has a shape that is not a list of whole numbers',
    ],
    [
      'a negative extent',
      byHand(w('[0,8]', '"dtype":"F32","shape":[-2]'), eight),
      'has a shape that is not a list of whole numbers',
    ],
    ['one offset', byHand(w('[0]'), eight), 'has data_offsets that are not two whole numbers of at least 0.'],
    ['a negative offset', byHand(w('[-8,0]'), eight), 'has data_offsets that are not two whole numbers of at least 0.'],
    [
      'offsets beyond 2^53',
      byHand(w('[0,1e300]'), eight),
      'has data_offsets that are not two whole numbers of at least 0.',
    ],
    ['end before begin', byHand(w('[8,0]'), eight), 'tensor "w" ends at byte 0, before its begin 8.'],
    [
      'out of range',
      byHand(w('[0,8]'), eight.slice(1)),
      'tensor "w" ends at byte 8 of the data, but the file holds only 7: it was cut.',
    ],
    ['another size', byHand(w('[0,4]'), eight), 'tensor "w", F32 of shape [2], takes 8 bytes; it has 4.'],
    [
      'a size beyond 2^53',
      byHand(w('[0,8]', '"dtype":"F32","shape":[9007199254740991,9007199254740991]'), eight),
      'bytes; it has 8.',
    ],
    [
      'a size of infinity times nothing',
      byHand(w('[0,0]', `"dtype":"F32","shape":[${'9007199254740991,'.repeat(30)}0]`)),
      'takes NaN bytes; it has 0.',
    ],
    [
      'overlap',
      byHand(
        '{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}',
        eight,
      ),
      'tensors "a" and "b" overlap.',
    ],
    [
      'twice the same bytes',
      byHand(
        '{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}',
        eight,
      ),
      'tensors "a" and "b" overlap.',
    ],
    [
      'a hole',
      byHand(
        '{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}',
        eight,
      ),
      'bytes 2 to 3 of the data belong to no tensor.',
    ],
    [
      'a hole at the beginning',
      byHand('{"a":{"dtype":"U8","shape":[7],"data_offsets":[1,8]}}', eight),
      'bytes 0 to 0 of the data belong to no tensor.',
    ],
    ['trailing bytes', byHand(w('[0,8]'), [...eight, 9]), 'bytes 8 to 8 of the data belong to no tensor.'],
    [
      'a name twice',
      byHand(`{"w":{},"\\u0077":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, eight),
      'the header has the name "\\u0077" twice.',
    ],
    [
      'a member twice',
      byHand(w('[0,8]', '"dtype":"U8","shape":[2],"dtype":"F32"'), eight),
      'the header has the name "dtype" twice.',
    ],
  ])('%s', async (_, bytes, message) => {
    const path = fileOf(bytes, 'm.safetensors');
    const refused = openSafetensors(path);
    await expect(refused).rejects.toThrow(FormatError);
    await expect(refused).rejects.toThrow(`safetensors "${path}": `);
    await expect(refused).rejects.toThrow(message);
  });

  test('names that look like a repetition are none', () => {
    const header =
      '{"a\\"":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"__metadata__":{"a":"a","b":"{\\"a\\":\\"a\\"}"}} ';
    expect(parseHeader('x', Buffer.from(header), 0).entries).toHaveLength(2);
  });

  test('missing, a folder, or changed while it is open', async () => {
    await expect(openSafetensors(join(temporaryFolder(), 'no'))).rejects.toThrow(
      'cannot be opened (it does not exist)',
    );
    await expect(openSafetensors(temporaryFolder())).rejects.toThrow('cannot be opened (it is a folder)');
    const path = fileOf(byHand(w('[0,8]'), eight));
    const file = await openSafetensors(path);
    await expect(file.read('W')).rejects.toThrow('unknown tensor "W" (did you mean "w"?)');
    writeFileSync(path, '');
    await expect(file.read('w')).rejects.toThrow('while it was read');
    await file.close();
  });

  test('whatever the header, the answer is a header or a FormatError', () => {
    const survives = (bytes: Uint8Array, data: number): void => {
      try {
        const { entries } = parseHeader('x', bytes, data);
        const held = entries.reduce((sum, { begin, end }) => sum + end - begin, 0);
        expect(held).toBe(data);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        expect(error.message).toMatch(/^x: .*\.$/s);
      }
    };
    const small = fc.oneof(fc.nat(9), fc.constantFrom(-1, 0.5, 2 ** 53, 1e300));
    const almost = fc.dictionary(
      fc.constantFrom('a', 'b', '__metadata__', '__proto__', 'toString'),
      fc.oneof(
        fc.record(
          {
            dtype: fc.oneof(fc.constantFrom('F32', 'U8', 'F16'), fc.jsonValue()),
            shape: fc.oneof(fc.array(small, { maxLength: 3 }), fc.jsonValue()),
            data_offsets: fc.oneof(fc.tuple(small, small), fc.jsonValue()),
          },
          { requiredKeys: [] },
        ),
        fc.jsonValue(),
      ),
    );
    const headers = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.json().map((text) => Buffer.from(text)),
      almost.map((value) => Buffer.from(JSON.stringify(value))),
      // one byte of a valid header is another
      fc.tuple(fc.nat(200), fc.nat(255)).map(([at, byte]) => {
        const bytes = Buffer.from(
          '{"a":{"dtype":"U8","shape":[1,4],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        );
        bytes[at % bytes.length] = byte;
        return bytes;
      }),
    );
    fc.assert(
      fc.property(headers, fc.nat(9), (bytes, data) => survives(bytes, data)),
      { numRuns: 1500 },
    );
    // nesting deeper than any stack
    survives(Buffer.from(`{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`), 0);
  });
});
