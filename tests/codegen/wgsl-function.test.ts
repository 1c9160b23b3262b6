import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluate, hostData, print, tablesOf, variable, type Expression } from '../../src/codegen/expression/index.js';
import type { Kernel } from '../../src/codegen/kernel.js';
import { expressionFunction, mulHigh, wgslFunction } from '../../src/codegen/render/wgsl-function.js';
import type { VI } from '../../src/codegen/vector.js';
import type { WebGpuDevice } from '../../src/devices/webgpu/device.js';
import { parameterList } from '../../src/kernels/parameters.js';
import { noWebGpu, webGpuDevice } from '../support/webgpu.js';
import { enclose, holds } from './enclose.js';
import { anyExpression, point } from './expression/arbitrary.js';

const p = parameterList({ x: 'pointer', y: 'pointer', q: 'pointer', k: 'pointer', out: 'pointer', count: 'i32' });
const never = (): never => {
  throw new Error('not on a CPU');
};
/** Below this WGSL may take a number for 0. */
const smallest = 2 ** -126;
// and so small parts of what is not much larger
const flushed = (x: number): number => (Math.abs(x) < 2 ** 24 * smallest ? 0 : x);
const points = fc
  .sample(fc.array(point, { minLength: 64, maxLength: 64 }), { seed: 3, numRuns: 1 })[0]!
  .map(({ x, y, ...rest }) => ({ x: flushed(x), y: flushed(y), ...rest }));

/** All expressions at all points, four points an invocation; `scalars` are those of the first of each four. */
async function results(device: WebGpuDevice, expressions: readonly Expression[], scalars: readonly string[]) {
  const tables = [...new Set(expressions.flatMap((e) => tablesOf(e)))];
  const names = ['x', 'y', 'q', 'k'] as const;
  const held = tables.map((table) => {
    const data = hostData(table)!;
    const buffer = device.allocate(Math.ceil(data.byteLength / 4) * 4, 'tensor');
    device.write(buffer, data);
    return buffer;
  });
  const kind = (name: string) => {
    const float = name === 'x' || name === 'y';
    return scalars.includes(name) ? (float ? 'f32' : 'i32') : float ? 'vf' : 'vi';
  };
  const load = (name: (typeof names)[number]): string => {
    const type = name === 'x' || name === 'y' ? 'f32' : 'i32';
    const words = [0, 1, 2, 3].map((i) => `bitcast<${type}>(arena[${p.wgsl[name]} / 4u + i + ${i}u])`);
    return scalars.includes(name) ? words[0]! : `vec4<${type}>(${words.join(', ')})`;
  };
  const functions = expressions.map((e, n) =>
    expressionFunction(`e${n}`, e, Object.fromEntries(names.map((name) => [name, kind(name)])), {
      tables: tables.map((table, i) => ({
        table,
        pointer: `${held[i]!.address}u`,
        dimensions: table.shape.map((extent) => `${extent}i`),
      })),
    }),
  );
  const stores = expressions.map(
    (_, n) => `{ let v = bitcast<vec4<u32>>(vec4(e${n}(x, y, q, k)));
      for (var c = 0u; c < 4u; c++) { arena[${p.wgsl.out} / 4u + ${n}u * u32(${p.wgsl.count}) + i + c] = v[c]; } }`,
  );
  const kernel: Kernel = {
    name: 'expressions on a GPU',
    key: JSON.stringify([expressions.map(print), scalars]),
    parameters: p.kinds,
    cpu: never,
    gpu: () => ({
      wgsl: `${mulHigh}${functions.join('')}fn run(task: u32, lane: u32) {
        let i = 4u * lane;
        ${names.map((name) => `let ${name} = ${load(name)};`).join('\n')}
        ${stores.join('\n')}
      }`,
      workgroupSize: points.length / 4,
    }),
  };
  const inputs = names.map((name) => {
    const numbers = points.map((at) => at[name]);
    const buffer = device.allocate(4 * points.length, 'tensor');
    device.write(
      buffer,
      kind(name)[1] === 'f' || kind(name) === 'f32' ? Float32Array.from(numbers) : Int32Array.from(numbers),
    );
    return buffer;
  });
  const out = device.allocate(4 * points.length * expressions.length, 'tensor');
  const [x, y, q, k] = inputs as [typeof out, typeof out, typeof out, typeof out];
  device.run(kernel, p.pack({ x, y, q, k, out, count: points.length }), 1);
  const bytes = await device.read(out);
  for (const buffer of [...held, ...inputs, out]) device.free(buffer);
  return bytes;
}

describe.skipIf(noWebGpu !== undefined)(`expressions as WGSL ${noWebGpu ?? ''}`, () => {
  let device: WebGpuDevice;
  beforeAll(async () => {
    device = await webGpuDevice();
  });
  afterAll(() => device.dispose());

  const [x, y] = [variable('x', 'f32'), variable('y', 'f32')];
  const functions = [x.exp(), x.log(), x.tanh(), x.erf(), x.sin(), y.cos(), x.div(4).acos(), x.atan2(y), x.pow(y)];
  const random = fc.sample(anyExpression, { seed: 17, numRuns: 30 });

  test.each([
    ['functions', functions, []],
    ['random expressions of vectors', random, []],
    ['random expressions of vectors and scalars', random, ['x', 'q']],
  ] as const)('%s are what they mean', async (_, expressions, scalars) => {
    const bytes = await results(device, expressions, scalars);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    let decided = 0;
    for (const [n, e] of expressions.entries()) {
      for (let i = 0; i < points.length; i++) {
        const of = (name: 'x' | 'y' | 'q' | 'k'): number =>
          points[scalars.includes(name as never) ? i - (i % 4) : i]![name];
        const at = { x: Math.fround(of('x')), y: Math.fround(of('y')), q: of('q'), k: of('k') };
        const known = enclose(e, at);
        if (known === undefined) continue;
        decided++;
        const offset = 4 * (n * points.length + i);
        const raw = view.getInt32(offset, true);
        const got = e.type === 'f32' ? view.getFloat32(offset, true) : e.type === 'bool' ? 0 - raw : raw;
        const want = `want ${evaluate(e, at)} in [${known.lo}, ${known.hi}]`;
        expect(
          holds(known, got) || (got === 0 && Math.abs(known.lo) < smallest),
          `${print(e)} at ${JSON.stringify(at)}: got ${got}, ${want}`,
        ).toBe(true);
      }
    }
    expect(decided).toBeGreaterThan(0.8 * expressions.length * points.length);
  });
});

test('what has no place in a function is refused', () => {
  expect(() => wgslFunction('f', { x: 'vi' }, (k, [x]) => k.any(x as VI))).toThrow('any has no place');
  expect(() => wgslFunction('f', { x: 'i32' }, (k, [x]) => (k.loop(0, 2, () => {}), x!))).toThrow('no loop');
});
