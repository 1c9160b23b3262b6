import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { renderC } from '../../src/codegen/render/c.js';
import type { Pointer, VectorBuilder, VF } from '../../src/codegen/vector.js';
import { findCompiler } from '../../src/devices/cpu/compiler.js';
import type { Kernel } from '../../src/codegen/kernel.js';
import { attendForward } from '../../src/kernels/attend/forward.js';
import { plainAttention } from './specimen.js';

/** Everything that a vector or a part of it can go through. */
const operations: Readonly<Record<string, (k: VectorBuilder, x: VF, p: Pointer) => VF>> = {
  reduceAdd: (k, x) => k.splat(k.reduceAdd(x)),
  reduceMax: (k, x) => k.splat(k.reduceMax(x)),
  reduceMin: (k, x) => k.splat(k.reduceMin(x)),
  any: (k, x) => k.splat(k.toFloat(k.any(k.bits(x)))),
  min: (k, x) => k.min(x, 1),
  max: (k, x) => k.max(x, 1),
  keep: (k, x) => k.keep(x),
  select: (k, x) => k.select(k.lt(x, 1), x, 2),
  abs: (k, x) => k.abs(x),
  sqrt: (k, x) => k.sqrt(x),
  floor: (k, x) => k.floor(x),
  ceil: (k, x) => k.ceil(x),
  nearest: (k, x) => k.nearest(x),
  trunc: (k, x) => k.trunc(x),
  lane: (k, x) => k.splat(k.lane(x, 3)),
  conversions: (k, x) => k.toFloat(k.toInt(x)),
  mulHighUnsigned: (k, x) => k.fromBits(k.mulHighUnsigned(k.bits(x), k.bits(k.add(x, 1)))),
  shuffle: (k, x) =>
    k.shuffle(
      x,
      k.add(x, 1),
      Array.from({ length: k.width }, (_, i) => 2 * i),
    ),
  'gather f32': (k, x, p) => k.gatherVF(p, k.toInt(x)),
  'gather u8': (k, x, p) => k.toFloat(k.gatherVI(p, k.toInt(x), 'vu8')),
  loadStrided: (k, x, p) => k.add(x, k.loadStrided(p, 20)),
  'load part': (k, x, p) => k.add(x, k.loadVF(p, 0, k.end)),
  'load part i32': (k, x, p) => k.add(x, k.toFloat(k.loadVI(p, 0, k.end))),
  'load part u8': (k, x, p) => k.add(x, k.toFloat(k.loadVU8(p, 0, k.end))),
  'load part u16': (k, x, p) => k.add(x, k.toFloat(k.loadVU16(p, 0, k.end))),
  'store part': (k, x, p) => (k.store(p, x, 0, k.end), x),
  'store part i32': (k, x, p) => (k.store(p, k.toInt(x), 0, k.end), x),
  'store part u8': (k, x, p) => (k.storeVU8(p, k.toInt(x), 0, k.end), x),
  'store part u16': (k, x, p) => (k.storeVU16(p, k.toInt(x), 0, k.end), x),
};

const compiler = await findCompiler();

/** Each operation in a task of its own, between a load and a store, so that there is a register for everything. */
const every: Kernel = {
  name: 'operations',
  key: '',
  parameters: ['pointer', 'pointer'],
  cpu: (k) => {
    for (const operate of Object.values(operations)) {
      k.loop(k.begin, k.end, (task) => {
        const [at, other] = [k.offset(k.parameter(0, 'pointer'), task, 64), k.parameter(1, 'pointer')];
        k.store(at, operate(k, k.loadVF(at), other));
      });
    }
  },
};

/** The lines of a kernel's assembly that use vector registers. */
function vectorLines(kernel: Kernel, width: number, target: readonly string[]): readonly string[] {
  const { command, flags } = compiler as Exclude<typeof compiler, string>;
  const kept = flags.filter((flag) => !/^-(m|shared)/.test(flag));
  const assembly = execFileSync(command, [...kept, ...target, '-S', '-x', 'c', '-o', '-', '-'], {
    input: renderC(kernel, { width }),
    encoding: 'utf8',
  });
  expect(assembly).toContain('subquad_run');
  return assembly.split('\n').filter((line) => /%[xyz]mm/.test(line));
}

const stack = /\(%[re][sb]p/;

const forward = attendForward({ ...plainAttention, D: 64, E: 64, queryTile: 64, keyBlock: 16 });

const targets = [
  [4, ['-march=x86-64-v2']],
  [8, ['-march=x86-64-v3']],
  [16, ['-march=x86-64-v4', '-mprefer-vector-width=512']],
] as const;

describe.skipIf(typeof compiler === 'string' || process.arch !== 'x64')('generated C', () => {
  test.each(targets)('keeps vectors of %i lanes in registers, whatever is done to them', (width, target) => {
    expect(vectorLines(every, width, target).filter((line) => stack.test(line))).toEqual([]);
  });

  test.each(targets.slice(1))('reads a vector of %i lanes once for all rows of a register tile', (width, target) => {
    const products = vectorLines(forward, width, target).filter((line) => line.includes('vfmadd'));
    expect(products.length).toBeGreaterThan(100);
    // constants may lie in memory, and a scalar may come with its multiply-add, broadcast on the way
    const fromMemory = products.filter((line) => line.includes('(') && !/%rip|\{1to/.test(line) && !stack.test(line));
    expect(fromMemory).toEqual([]);
  });
});
