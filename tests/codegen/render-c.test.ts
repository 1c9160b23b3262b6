import { describe, expect, test } from 'vitest';
import { renderC } from '../../src/codegen/render/c.js';
import { prelude } from '../../src/codegen/render/c-prelude.js';
import type { VectorBuilder } from '../../src/codegen/vector.js';
import type { Kernel } from '../../src/codegen/kernel.js';
import { specimen } from './specimen.js';

const kernel = (cpu: (k: VectorBuilder) => void): Kernel => ({
  name: 'k',
  key: '',
  parameters: ['pointer', 'f32'],
  cpu,
});
/** The statements of a kernel. */
const body = (cpu: (k: VectorBuilder) => void): readonly string[] => {
  const lines = renderC(kernel(cpu), { width: 8 }).split('\n');
  return lines.slice(lines.findIndex((line) => line.startsWith('void')) + 1, -2).map((line) => line.trim());
};

describe('the text', () => {
  test('is the same each time, and names nothing of this machine', () => {
    const text = renderC(specimen, { width: 16 });
    expect(renderC(specimen, { width: 16 })).toBe(text);
    expect(text).not.toContain('#include');
    expect(text).not.toContain(process.cwd());
  });

  test('begins with the name and the vocabulary of its width', () => {
    for (const width of [4, 8, 16]) {
      expect(renderC(specimen, { width }).startsWith(`/* specimen */\n${prelude(width)}\nvoid subquad_run(`)).toBe(
        true,
      );
      expect(prelude(width)).toContain(`#define W ${width}\n`);
      expect(prelude(width)).toContain(
        `static const vi iota = {${Array.from({ length: width }, (_, i) => i).join(', ')}};`,
      );
    }
  });

  test.each([
    [0, '0.0f'],
    [-0, '-0.0f'],
    [1, '1.0f'],
    [0.1, '0.10000000149011612f'],
    [1e21, '1.0000000200408773e+21f'],
    [1e-50, '0.0f'],
    [-1e-50, '-0.0f'],
    [1e39, '__builtin_inff()'],
    [-Infinity, '-__builtin_inff()'],
    [NaN, '__builtin_nanf("")'],
  ])('the float %d is written %s', (value, written) => {
    expect(body((k) => k.constant('f32', value))).toEqual([`const float v4 = ${written};`]);
    expect(body((k) => k.constant('vf', value))).toEqual([`const vf v4 = splat_vf(${written});`]);
  });

  test('integers that C has no literal for, and arithmetic that wraps', () => {
    expect(body((k) => k.constant('i32', -(2 ** 31)))).toEqual(['const int32_t v4 = (-2147483647 - 1);']);
    expect(body((k) => k.mul(k.begin, k.end))).toEqual([
      'const int32_t v4 = (int32_t)((uint32_t)begin * (uint32_t)end);',
    ]);
    expect(body((k) => k.shl(k.begin, 3))).toEqual(['const int32_t v4 = (int32_t)((uint32_t)begin << 3);']);
    expect(body((k) => k.offset(k.scratch, k.begin, k.end))).toEqual(['char * v4 = scratch + (int64_t)begin * end;']);
  });

  test('variables are declared at the top, wherever they are assigned', () => {
    const lines = body((k) => {
      k.loop(0, 1, () =>
        k.if(k.begin, () =>
          k.while(
            () => k.end,
            () => k.variable('vi', 1),
          ),
        ),
      );
    });
    expect(lines[0]).toBe('vi v7;');
    expect(lines.slice(-4)).toEqual(['v7 = v8;', '}', '}', '}']);
  });
});

describe('what cannot be rendered', () => {
  const refused: readonly [string, (k: VectorBuilder) => void][] = [
    ['c: a pointer cannot be stored', (k) => k.store(k.scratch, k.scratch as never)],
    ['k: only vectors are stored in part, not a f32', (k) => k.store(k.scratch, k.constant('f32', 1), 0, k.end)],
    ['k: parameter 0 is pointer, not f32', (k) => k.parameter(0, 'f32')],
  ];
  test.each(refused)('%s', (message, cpu) => {
    expect(() => body(cpu)).toThrow(message);
  });
});
