import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { float, moduleOf, signed, unsigned, valueTypes } from '../../src/codegen/render/wasm-binary.js';
import { renderWasm } from '../../src/codegen/render/wasm.js';
import type { VectorBuilder } from '../../src/codegen/vector.js';
import type { Kernel } from '../../src/codegen/kernel.js';
import { disassemble } from './disassemble.js';
import { specimen } from './specimen.js';

/** The value of a LEB128 number, by its definition: seven bits a byte, lowest first. */
const value = (bytes: readonly number[]): bigint =>
  bytes.reduce((sum, byte, i) => sum | (BigInt(byte & 127) << BigInt(7 * i)), 0n);
const wellFormed = (bytes: readonly number[]): boolean =>
  bytes.every((byte, i) => Number.isInteger(byte) && byte >= 0 && byte < 256 && byte >= 128 === i < bytes.length - 1);

describe('numbers in the binary format', () => {
  test('unsigned: the same number back, in as few bytes as can be', () => {
    const number = fc.oneof(
      fc.nat(300),
      fc.nat(2 ** 31 - 1),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      fc.maxSafeNat(),
    );
    const property = fc.property(number, (n) => {
      const bytes = unsigned(n);
      expect(wellFormed(bytes)).toBe(true);
      expect(value(bytes)).toBe(BigInt(n));
      expect(bytes).toHaveLength(Math.max(1, Math.ceil(BigInt(n).toString(2).length / 7)));
    });
    fc.assert(property, { examples: [[0], [127], [128], [16383], [16384], [2 ** 32 - 1]] });
    expect(unsigned(624485)).toEqual([0xe5, 0x8e, 0x26]);
  });

  test('signed: the same number back, in as few bytes as can be', () => {
    const property = fc.property(fc.oneof(fc.integer({ min: -200, max: 200 }), fc.integer()), (n) => {
      const bytes = signed(n);
      expect(wellFormed(bytes)).toBe(true);
      expect(BigInt.asIntN(7 * bytes.length, value(bytes))).toBe(BigInt(n));
      // one byte less could not hold it
      expect(bytes.length === 1 || BigInt.asIntN(7 * (bytes.length - 1), BigInt(n)) !== BigInt(n)).toBe(true);
    });
    fc.assert(property, { examples: [[0], [-1], [63], [64], [-64], [-65], [2 ** 31 - 1], [-(2 ** 31)]] });
    expect(signed(-123456)).toEqual([0xc0, 0xbb, 0x78]);
  });

  test('float: four bytes, lowest first', () => {
    const property = fc.property(fc.float(), (n) => {
      expect(new DataView(Uint8Array.from(float(n)).buffer).getFloat32(0, true)).toBe(n);
    });
    fc.assert(property);
    expect(float(1)).toEqual([0, 0, 0x80, 0x3f]);
  });

  test('a negative offset is refused, not encoded as another', () => {
    expect(() => unsigned(-4)).toThrow('wasm: offsets and indices are not negative; got -4');
    expect(() => unsigned(NaN)).toThrow(/got NaN/);
  });
});

const kernel = (cpu: (k: VectorBuilder) => void): Kernel => ({
  name: 'k',
  key: '',
  parameters: ['pointer', 'f32'],
  cpu,
});
const text = (cpu: (k: VectorBuilder) => void, relaxed = false): string =>
  disassemble(renderWasm(kernel(cpu), { relaxed }));

describe('modules', () => {
  test('an empty one takes the memory and gives `run`', () => {
    const bytes = moduleOf([valueTypes.v128], []);
    expect(WebAssembly.validate(bytes)).toBe(true);
    const module = new WebAssembly.Module(bytes);
    expect(WebAssembly.Module.imports(module)).toEqual([{ module: 'env', name: 'memory', kind: 'memory' }]);
    expect(WebAssembly.Module.exports(module)).toEqual([{ name: 'run', kind: 'function' }]);
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
    const { run } = new WebAssembly.Instance(module, { env: { memory } }).exports;
    expect((run as unknown as { length: number }).length).toBe(4);
  });

  test('one of everything is valid; only the relaxed one needs relaxed SIMD', () => {
    const [plain, relaxed] = [false, true].map((on) => renderWasm(specimen, { relaxed: on }));
    expect(WebAssembly.validate(plain!)).toBe(true);
    expect(disassemble(plain!)).not.toContain('relaxed');
    expect(disassemble(relaxed!)).toContain('f32x4.relaxed_madd');
    expect(renderWasm(specimen, { relaxed: true })).toEqual(relaxed);
  });

  test('a multiply-add of scalars is two instructions, one of vectors what the engine has', () => {
    const both = (k: VectorBuilder): void => {
      k.fma(k.parameter(1, 'f32'), 2, 3);
      k.fma(k.iota() as never, k.iota() as never, k.iota() as never);
      const v = k.constant('vf', 2);
      k.fma(v, v, v);
    };
    expect(text(both)).toMatch(/f32\.mul \$\d+ f32\.add[^]*f32x4\.mul \$\d+ f32x4\.add/);
    expect(text(both, true)).toMatch(/f32\.mul \$\d+ f32\.add[^]*f32x4\.relaxed_madd/);
  });

  test('a long body', () => {
    const count = 20_000;
    const bytes = renderWasm(
      kernel((k) => {
        const sum = k.variable('i32', 0);
        for (let i = 0; i < count; i++) k.assign(sum, k.add(sum, k.begin));
      }),
      { relaxed: false },
    );
    expect(WebAssembly.validate(bytes)).toBe(true);
    expect(disassemble(bytes).match(/i32\.add/g)).toHaveLength(count);
  });
});

describe('what cannot be rendered', () => {
  const refused: readonly [string, (k: VectorBuilder) => void][] = [
    ['wasm: no form of rem for f32', (k) => k.rem(k.constant('f32', 1) as never, k.constant('f32', 1) as never)],
    ['wasm: no form of div for vi', (k) => k.div(k.constant('vi', 1) as never, k.constant('vi', 1) as never)],
    ['wasm: no form of floor for i32', (k) => k.floor(k.constant('i32', 1) as never)],
    ['wasm: no form of add for pointer', (k) => k.add(k.scratch as never, k.scratch as never)],
    ['wasm: a pointer cannot be stored', (k) => k.store(k.scratch, k.scratch as never)],
    ['k: only vectors are stored in part, not a i32', (k) => k.store(k.scratch, k.begin, 0, k.end)],
    ['k: parameter 1 is f32, not i32', (k) => k.parameter(1, 'i32')],
    ['wasm: offsets and indices are not negative; got -8', (k) => k.loadStrided(k.scratch, -8)],
  ];
  test.each(refused)('%s', (message, cpu) => {
    expect(() => text(cpu)).toThrow(message);
  });
});
