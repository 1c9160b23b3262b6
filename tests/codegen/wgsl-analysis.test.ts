import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { barriersOf } from '../../src/codegen/analysis/visibility.js';
import { rootsOf } from '../../src/codegen/analysis/roots.js';
import { uniformLoads } from '../../src/codegen/analysis/uniformity.js';
import { walk } from '../../src/codegen/analysis/walk.js';
import { record, type Kernel } from '../../src/codegen/kernel.js';
import type { Instruction } from '../../src/codegen/program.js';
import type { VectorBuilder } from '../../src/codegen/vector.js';
import type { WebGpuDevice } from '../../src/devices/webgpu/device.js';
import { onGpuAndInterpreted } from '../support/gpu-against-interpreter.js';
import { generator } from '../support/random.js';
import { noWebGpu, webGpuDevice } from '../support/webgpu.js';

const kernel = (name: string, cpu: (k: VectorBuilder) => void): Kernel => ({
  name,
  key: '',
  parameters: ['pointer', 'pointer', 'i32'],
  cpu,
});
const described = (k: Kernel): { barriers: readonly string[]; uniform: readonly string[] } => {
  const program = record(k, 8);
  const barriers = barriersOf(program);
  const uniform = uniformLoads(program, barriers);
  const names = (set: ReadonlySet<Instruction>): string[] => {
    const found: string[] = [];
    walk(program.body, (one) => {
      if (set.has(one)) found.push(one.do === 'operation' ? one.op : one.do);
    });
    return found;
  };
  return { barriers: names(barriers), uniform: names(uniform) };
};

/** Lanes from both ends meet: each reads what the other, of another subgroup, wrote in the round before; and so do scalars. */
const neighbours = kernel('neighbours', (k) => {
  const [x, out] = [k.parameter(0, 'pointer'), k.parameter(1, 'pointer')];
  const rounds = k.parameter(2, 'i32');
  const task = k.offset(x, k.begin, 4 * 4 * k.width);
  k.loop(0, rounds, (round) => {
    const from = k.variable('pointer', task);
    k.loop(0, 4, () => {
      const value = k.loadVI(from);
      const swapped = k.gatherVI(from, k.xor(k.iota(), k.width - 1));
      k.store(from, k.add(k.mul(value, 3), k.xor(swapped, k.splat(round))));
      k.assign(from, k.offset(from, 4 * k.width));
    });
    // a scalar of another lane's
    k.store(k.offset(task, 3, 4), k.add(k.loadI32(task, 0), k.loadI32(task, 8)));
  });
  k.loop(0, 4, (i) => {
    const at = k.mul(i, k.width);
    k.store(k.offset(k.offset(out, k.begin, 16 * k.width), at, 4), k.loadVI(k.offset(task, at, 4)));
  });
});

/** How often a loop runs lies in memory that is written too; sums over lanes are within. */
const counted = kernel('counted', (k) => {
  const [x, out] = [k.parameter(0, 'pointer'), k.parameter(1, 'pointer')];
  const most = k.parameter(2, 'i32');
  const task = k.offset(x, k.begin, 4 * 4 * k.width);
  const count = k.variable('i32', k.and(k.loadI32(task), 3));
  const sum = k.variable('f32', 0);
  k.while(
    () => k.gt(count, 0),
    () => {
      const lanes = k.toFloat(k.and(k.loadVI(k.offset(task, count, 4)), 15));
      k.assign(sum, k.add(sum, k.reduceAdd(lanes)));
      k.if(k.gt(k.loadI32(task, 4), most), () => k.assign(sum, k.add(sum, k.reduceMax(lanes))));
      k.store(task, k.sub(count, 1));
      k.assign(count, k.and(k.loadI32(task), 3));
    },
  );
  k.store(k.offset(out, k.begin, 16 * k.width), sum);
});

describe('analysis of recorded programs', () => {
  test('pointers come from parameters, the workspace or memory, through variables too', () => {
    const program = record(
      kernel('roots', (k) => {
        const [a, b] = [k.variable('pointer', k.parameter(0, 'pointer')), k.variable('pointer', k.scratch)];
        k.loop(0, 3, () => {
          const swap = k.select(k.gt(k.end, 1), a, b);
          k.assign(b, k.offset(swap, 4));
          k.store(k.loadPointer(b), k.constant('i32', 1));
        });
      }),
      8,
    );
    const roots = rootsOf(program);
    const of: string[] = [];
    walk(program.body, (one) => {
      if (one.do === 'store') of.push([...roots.get(one.to.id)!].join());
      if (one.do === 'load') of.push([...roots.get(one.from.id)!].map(String).sort().join());
    });
    expect(of).toEqual(['0,scratch', 'loaded']);
  });

  test('a barrier before each access that meets another kind; none where memory is only read, or only written', () => {
    const copied = kernel('copied', (k) =>
      k.loop(k.begin, k.end, (i) =>
        k.store(k.offset(k.parameter(1, 'pointer'), i, 4), k.loadVF(k.offset(k.parameter(0, 'pointer'), i, 4))),
      ),
    );
    expect(described(copied)).toEqual({ barriers: [], uniform: [] });
    expect(described(neighbours).barriers).toEqual(['load', 'store', 'load', 'store', 'load']);
  });

  test('conditions around barriers are followed to the loads that they come from, and no further', () => {
    const { uniform } = described(counted);
    // the first count, the number that the branch compares, the next count; not the vectors
    expect(uniform).toEqual(['load', 'load', 'load']);
  });
});

describe.skipIf(noWebGpu !== undefined)(`WGSL ${noWebGpu ?? ''}`, () => {
  describe.each([1, 8, 32])('%i lanes', (width) => {
    let device: WebGpuDevice;
    beforeAll(async () => {
      device = await webGpuDevice({ width });
    });
    afterAll(() => device.dispose());

    test.each([neighbours, counted])('lanes see each other’s stores: $name', async (one) => {
      const tasks = 5;
      const next = generator(3);
      const x = Int32Array.from({ length: tasks * 4 * width }, () => (next() * 2 ** 31) | 0);
      const out = new Int32Array(tasks * 4 * width);
      for (const given of [3, 2 ** 30]) {
        const rounds = one === neighbours ? 4 : given;
        const { got, want } = await onGpuAndInterpreted(device, one, [x, out, rounds], { end: tasks });
        expect(Buffer.compare(got[0]!, want[0]!)).toBe(0);
        expect(Buffer.compare(got[1]!, want[1]!)).toBe(0);
      }
    });
  });
});
