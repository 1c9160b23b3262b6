import { expect, test } from 'vitest';
import { decode, encode, fromBf16, fromF16, toBf16, toF16 } from '../../src/core/dtype.js';
import { ofBf16, ofF16, storedAs } from '../oracles/storage.js';
import { generator } from '../support/random.js';

/** The nearest of all 16-bit numbers, ties to the even pattern: the definition itself, by bisection over sorted values. */
function nearest(x: number, decodeBits: (bits: number) => number, infinity: number): number {
  const size = Math.abs(x);
  let [low, high] = [0, infinity];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (decodeBits(middle) <= size) low = middle;
    else high = middle;
  }
  // past the largest number, the next power of two stands for infinity
  const top = decodeBits(low) * 2 - decodeBits(low - 1 < 0 ? 0 : low - 1);
  const above = high === infinity ? top : decodeBits(high);
  const [down, up] = [size - decodeBits(low), above - size];
  return down < up || (down === up && low % 2 === 0) ? low : high;
}

const next = generator(3);
const values = Float32Array.from({ length: 20_000 }, () => (next() - 0.5) * 2 ** Math.floor(next() * 60 - 34));

test('every pattern is the number that IEEE 754 says, and each number the nearest by its definition', () => {
  const all = Array.from({ length: 65536 }, (_, bits) => bits);
  expect(all.filter((bits) => !Object.is(fromF16(bits), ofF16(bits)))).toEqual([]);
  expect(all.filter((bits) => !Object.is(fromBf16(bits), ofBf16(bits)))).toEqual([]);
  const edges = [
    65519,
    65520,
    -65520,
    (2 - 2 ** -8) * 2 ** 127,
    (2 - 2 ** -8.01) * 2 ** 127,
    2 ** -133,
    2 ** -134,
    -(2 ** -25),
    0,
    -0,
    NaN,
  ];
  for (const x of [...values, ...edges.map(Math.fround)]) {
    expect(fromF16(toF16(x))).toBe(storedAs.f16(x));
    expect(fromBf16(toBf16(x))).toBe(storedAs.bf16(x));
  }
});

test('f16: the nearest, ties to even', () => {
  const all = [...values, 65519, 65520, 2 ** -25, 3 * 2 ** -25, 1 + 2 ** -11, 1 + 3 * 2 ** -11];
  expect(all.filter((x) => (toF16(x) & 0x7fff) !== nearest(x, fromF16, 0x7c00))).toEqual([]);
});

test('bf16: the nearest, ties to even', () => {
  expect([...values].filter((x) => (toBf16(x) & 0x7fff) !== nearest(x, fromBf16, 0x7f80))).toEqual([]);
});

test('every 16-bit pattern survives a round trip; signs, infinities and NaN too', () => {
  const all = Array.from({ length: 65536 }, (_, bits) => bits);
  const lost = (to: (x: number) => number, from: (bits: number) => number) => (bits: number) =>
    Number.isNaN(from(bits)) ? !Number.isNaN(from(to(NaN))) : to(from(bits)) !== bits;
  expect(all.filter(lost(toF16, fromF16))).toEqual([]);
  expect(all.filter(lost(toBf16, fromBf16))).toEqual([]);
  expect(fromF16(0x3c00)).toBe(1);
  expect(fromF16(0xfbff)).toBe(-65504);
  expect(fromF16(1)).toBe(2 ** -24);
  expect(fromBf16(0x3f80)).toBe(1);
});

test('encode and decode', () => {
  const bytes = (view: ArrayBufferView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  for (const dtype of ['f32', 'f16', 'bf16', 'i32', 'u8'] as const) {
    expect([...decode(bytes(encode('f', [1, 2, 200], dtype)), dtype)]).toEqual([1, 2, 200]);
  }
  // bytes at an odd place of a larger buffer
  expect([...decode(new Uint8Array([9, 0, 0, 128, 63]).subarray(1), 'f32')]).toEqual([1]);
  expect([...(encode('f', Uint16Array.of(0x3c00), 'f16') as Uint16Array)]).toEqual([0x3c00]);
  expect(() => encode('f', [1, 300], 'u8')).toThrow(
    'f: u8 data must be whole numbers from 0 to 255; got 300 at index 1.',
  );
  expect(() => encode('f', [0.5], 'i32')).toThrow('got 0.5 at index 0');
});

test('patterns are widened bit by bit; a NaN keeps its sign and payload', () => {
  const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
  for (const [dtype, number, mantissa] of [
    ['f16', ofF16, 10],
    ['bf16', ofBf16, 7],
  ] as const) {
    const wide = new Uint32Array(decode(new Uint8Array(all.buffer), dtype).buffer);
    const floats = new Float32Array(wide.buffer);
    const wrong = [...all].filter((bits) => {
      const payload = bits & (2 ** mantissa - 1);
      const nan = (((bits >>> 15) << 31) | 0x7f800000 | (payload << (23 - mantissa))) >>> 0;
      return Number.isNaN(number(bits)) ? wide[bits] !== nan : !Object.is(floats[bits], number(bits));
    });
    expect(wrong, dtype).toEqual([]);
  }
});
