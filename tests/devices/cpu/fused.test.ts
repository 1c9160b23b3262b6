import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { Kernel } from '../../../src/codegen/kernel.js';
import { findCompiler } from '../../../src/devices/cpu/compiler.js';
import { parameterList } from '../../../src/kernels/parameters.js';
import { uniform } from '../../support/random.js';
import { device, floats, nativeSupport } from './fixtures.js';

const native = await nativeSupport();
const LANES = 16;
const STEPS = 40;

const p = parameterList({ x: 'pointer', out: 'pointer' });
/** `out = x₀² + x₁² + …` in each lane: a chain, whose every multiply-add waits for the one before. */
const chain: Kernel = {
  name: 'chain',
  key: '',
  parameters: p.kinds,
  cpu: (k) => {
    const { x, out } = p.read(k);
    k.loop(k.begin, k.end, () => {
      const lanes = (lane: Parameters<Parameters<typeof k.loop>[2]>[0]): void => {
        const sum = k.variable('vf', 0);
        k.loop(0, STEPS, (i) => {
          const each = k.loadVF(k.offset(k.offset(x, i, 4 * LANES), lane, 4));
          k.assign(sum, k.fma(each, each, sum));
        });
        k.store(k.offset(out, lane, 4), sum);
      };
      k.loop(0, LANES, lanes, k.width);
    });
  },
};

let folder: string | undefined;
const saved = process.env['CC'];
afterEach(() => {
  if (folder) rmSync(folder, { recursive: true, force: true });
  if (saved === undefined) delete process.env['CC'];
  else process.env['CC'] = saved;
});

/** Processors for which gcc by itself splits chains, and every width. */
const OPTIONS =
  process.arch === 'x64'
    ? ['', '-mno-avx512f', '-mno-avx512f -mno-avx2', '-mtune=znver2 -mno-avx512f', '-mtune=znver2']
    : [''];

describe.skipIf(!native.available)(`multiply-adds${native.reason}`, () => {
  test.for(OPTIONS)('a chain is fused, or none of it is: cc %s', async (options, { skip }) => {
    const named = saved?.trim() || 'cc';
    process.env['CC'] = `${named} ${options}`.trim();
    const compiler = await findCompiler();
    // another compiler may not know the option
    if (typeof compiler === 'string') return skip(compiler);
    folder = mkdtempSync(join(tmpdir(), 'subquad-test-'));
    const d = await device({ kind: 'native', threads: 1, cacheFolder: folder });
    const x = uniform(1, LANES * STEPS);
    const [from, to] = [d.allocate(x.byteLength, 'tensor'), d.allocate(4 * LANES, 'tensor')];
    d.write(from, x);
    d.run(chain, p.pack({ x: from, out: to }), 1);
    const found = floats(await d.read(to));
    const expected = Float32Array.from({ length: LANES }, (_, lane) => {
      let sum = 0;
      for (let i = 0; i < STEPS; i++) {
        const value = x[i * LANES + lane]!;
        // the product of two f32 is exact in f64
        const product = value * value;
        sum = Math.fround(sum + (compiler.fusedMultiplyAdd ? product : Math.fround(product)));
      }
      return sum;
    });
    expect(found.slice(0, LANES)).toEqual(expected);
  });
});
