// of attention/decode/place, kernels/put-rows

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FixedCache } from '../../src/attention/decode/fixed.js';
import { Room } from '../../src/attention/decode/room.js';
import { mul, reshape, sum } from '../../src/ops/index.js';
import {
  accumulate,
  gradients,
  operation,
  scope,
  share,
  tensor,
  writable,
  zeros,
  type Tensor,
} from '../../src/tensor/index.js';
import { integersOf } from '../../src/tensor/integers.js';
import { clipGradients } from '../../src/train/clip.js';
import { adafactor, adamW, lion, sgd, type Optimiser } from '../../src/train/optimisers/index.js';
import { onWebAssemblyFirst } from '../support/devices.js';

onWebAssemblyFirst((on) => {
  const ones = (shape: readonly number[], requiresGradient = false): Tensor =>
    tensor(new Float32Array(shape.reduce((size, extent) => size * extent, 1)).fill(1), shape, {
      device: on.device,
      requiresGradient,
    });

  interface Writer {
    readonly name: string;
    /** A tensor, and what writes to it. */
    readonly make: () => { readonly x: Tensor; readonly write: () => unknown; readonly end?: () => void };
  }

  const stepOf =
    (make: (parameters: [string, Tensor][]) => Optimiser) =>
    (slot?: string): ReturnType<Writer['make']> => {
      const parameter = ones([2, 2], true);
      const optimiser = make([['w', parameter]]);
      const kept = new Map(optimiser.state().tensors).get(`w.${slot}`);
      return {
        x: kept ?? parameter,
        write: () => optimiser.step([ones([2, 2])], { learningRate: 0.1 }),
        end: () => optimiser.dispose(),
      };
    };
  const optimisers: readonly Writer[] = (
    [
      ['sgd', stepOf((w) => sgd(w)), undefined],
      ['sgd with momentum', stepOf((w) => sgd(w, { momentum: 0.9 })), 'velocity'],
      ['adamW', stepOf((w) => adamW(w)), 'square'],
      ['lion', stepOf((w) => lion(w)), 'momentum'],
      ['adafactor', stepOf((w) => adafactor(w)), 'rows'],
    ] as const
  ).flatMap(([name, make, slot]) => [
    { name: `${name}.step, the parameter`, make: () => make() },
    ...(slot === undefined ? [] : [{ name: `${name}.step, its ${slot}`, make: () => make(slot) }]),
  ]);

  const rows = () => ({ k: ones([1, 1, 1, 2]), v: ones([1, 1, 1, 2]) });
  const writers: readonly Writer[] = [
    ...optimisers,
    {
      name: 'optimiser.load',
      make: () => {
        const optimiser = lion([['w', ones([2], true)]]);
        const state = optimiser.state();
        return {
          x: new Map(state.tensors).get('w.momentum')!,
          write: () => optimiser.load({ ...state, tensors: [['w.momentum', ones([2])]] }),
          end: () => optimiser.dispose(),
        };
      },
    },
    {
      name: 'clipGradients',
      make: () => {
        const x = ones([4]);
        return { x, write: () => clipGradients([['w', x]], 1) };
      },
    },
    {
      name: 'a cache of keys',
      make: () => {
        const room = new Room(on.device, { B: 1, G: 1, D: 2, E: 2 }, 3);
        return { x: room.k, write: () => room.write(rows(), 0, 1, 1) };
      },
    },
    {
      name: 'the step of a decoder',
      make: () => {
        const whole = { B: 1, H: 1, G: 1, L: 3, S: 3, D: 2, E: 2 };
        const attention = { name: 'flash', whole, scale: 1, pattern: undefined, score: undefined };
        const cache = new FixedCache(attention, on.device);
        const step = { ...rows(), q: ones([1, 1, 1, 2]), inputs: {}, start: 0 };
        return { x: cache.tensors[1]!, write: () => cache.step(step) };
      },
    },
    {
      name: 'the host, through a reshape',
      make: () => {
        const x = ones([4]);
        return { x: reshape(x, [2, 2]), write: () => on.device.write(writable(x), new Float32Array(4)) };
      },
    },
  ];

  describe('a backward pass refuses what was changed since an operation saved it', () => {
    test.each(writers)('$name', ({ make }) =>
      scope(async () => {
        const { x, write, end } = make();
        const [factor, result] = scope(() => {
          const factor = ones([1], true);
          return [factor, sum(mul(x, factor))];
        });
        gradients([result], [factor]);
        await write();
        expect(() => gradients([result], [factor])).toThrow(
          /^gradients: mul saved a tensor f32\[.*\] for its backward pass, and it was changed in place since, .*; take gradients before/,
        );
        const again = sum(mul(x, factor));
        gradients([again], [factor]);
        end?.();
      }),
    );

    test('flags of a cache, which are integers', () =>
      scope(() => {
        const room = new Room(on.device, { B: 1, G: 1, D: 2, E: 2 }, 3);
        const [x, flags] = [ones([1], true), room.tensors[2]!];
        const out = ones([1]);
        operation('probe', [x], [out], ([d]) => [d], [flags]);
        gradients([out], [x]);
        room.look(ones([1, 1, 1, 2]));
        expect(() => gradients([out], [x])).toThrow(/probe saved a tensor i32\[/);
      }));
  });

  test('a sum that somebody else holds is not written to', () =>
    scope(async () => {
      const factor = ones([4], true);
      const total = ones([4]);
      const result = sum(mul(total, factor));
      const sums = accumulate(share(total), ones([4]));
      expect([...(await sums.data())]).toEqual([2, 2, 2, 2]);
      expect([...(await gradients([result], [factor])[0]!.data())]).toEqual([1, 1, 1, 1]);
    }));

  test('what was known of integers ends with the next write', () =>
    scope(() => {
      const x = tensor(Int32Array.of(1, 2), [2], { device: on.device });
      const other = reshape(x, [1, 2]);
      expect(integersOf(other)?.high).toBe(2);
      on.device.write(writable(x), Int32Array.of(9, 9));
      expect([integersOf(x), integersOf(other)]).toEqual([undefined, undefined]);
      expect(integersOf(zeros([2], { device: on.device, dtype: 'i32' }))?.high).toBe(0);
    }));
});

test('the host writes to tensors through `writable` alone', () => {
  const src = join(import.meta.dirname, '../../src');
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const others = files.filter((name) => /\.write\([\w#.]+\.buffer\b/.test(readFileSync(join(src, name), 'utf8')));
  // a rehearsal fills cotangents that it has just made
  expect(others.map((name) => name.replaceAll('\\', '/'))).toEqual([]);
});
