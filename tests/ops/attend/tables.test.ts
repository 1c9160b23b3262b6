// of ops/attend/score-tables

import { describe, expect, test } from 'vitest';
import { flash, longformer, performer, slidingWindow, type Decoder } from '../../../src/attention/index.js';
import { lookup } from '../../../src/codegen/expression/index.js';
import { OptionError, ShapeError } from '../../../src/core/errors.js';
import { RehearsalDevice, type Device } from '../../../src/devices/index.js';
import { causal, global, within } from '../../../src/masks/index.js';
import { attend, attendGathered, linearAttend, mergeAttention } from '../../../src/ops/index.js';
import { relativeAttend } from '../../../src/positions/index.js';
import { bias, integerTable, score, t5Bias, visible, type Score } from '../../../src/scores/index.js';
import { gradients, scope, tensor, zeros, type Tensor } from '../../../src/tensor/index.js';
import { onEveryDevice, openDevice } from '../../support/devices.js';
import { normal } from '../../support/random.js';

const [H, L, D] = [2, 9, 4];

/** Where a call runs, and the tensor that it reads. */
interface Given {
  readonly x: Tensor;
  readonly read: Tensor;
  readonly make: (shape: readonly number[], dtype?: 'i32') => Tensor;
}

/** The first step of a decoder, which is then gone. */
function stepOf(decoder: Decoder, x: Tensor, inputs: Readonly<Record<string, Tensor>> = {}): void {
  try {
    decoder.step(x, x, x, { inputs });
  } finally {
    decoder.dispose();
  }
}

const readBias = ({ read }: Given): Score => bias(read);

/** Every way in which a call reads a tensor beside q, k and v: what is read, and the call. */
const paths: Readonly<
  Record<string, readonly [shape: readonly number[], dtype: 'f32' | 'i32', call: (given: Given) => unknown]>
> = {
  'a bias': [[H, L, L], 'f32', (at) => attend(at.x, at.x, at.x, { score: readBias(at) })],
  'a learned table': [[8, H], 'f32', ({ x, read }) => attend(x, x, x, { score: t5Bias(read, { buckets: 8 }) })],
  'ids that hide': [
    [1, L],
    'i32',
    ({ x, read }) =>
      attend(x, x, x, {
        score: visible(({ k }) => lookup(integerTable('read', read), 0, k).ge(0)),
      }),
  ],
  'a score under a mask that is split': [
    [H, L, L],
    'f32',
    (at) =>
      attend(at.x, at.x, at.x, { causal: true, mask: within({ radius: 1 }).or(global([0, 5])), score: readBias(at) }),
  ],
  'a score of gathered rows': [
    [L],
    'f32',
    ({ x, read }) =>
      attendGathered(x, x, x, {
        mask: causal(),
        score: ({ score: s, keyPosition }) =>
          s.add(lookup({ name: 'read', dtype: 'f32', shape: read.shape, source: read }, keyPosition)),
      }),
  ],
  'an order of queries': [[1, H, L], 'i32', ({ x, read }) => attendGathered(x, x, x, { queryOrder: read })],
  'an order of keys': [[1, H, L], 'i32', ({ x, read }) => attendGathered(x, x, x, { keyOrder: read, causal: true })],
  'a part that is merged': [
    [1, H, L, D],
    'f32',
    ({ x, read, make }) =>
      mergeAttention({ out: x, logsumexp: make([1, H, L]) }, { out: read, logsumexp: make([1, H, L]) }),
  ],
  'a state': [[1, H, D, D + 1], 'f32', ({ x, read }) => linearAttend(x, x, x, { initialState: read, causal: true })],
  'a decay': [[1, H, L], 'f32', ({ x, read }) => linearAttend(x, x, x, { decay: read, causal: true })],
  'positions of Transformer-XL': [
    [H * D, 6],
    'f32',
    ({ x, read, make }) =>
      relativeAttend(x, x, x, { weight: read, contentBias: make([H, D]), positionBias: make([H, D]) }),
  ],
  'a mechanism’s score': [
    [H, L, L],
    'f32',
    (at) => slidingWindow.run(at.x, at.x, at.x, { radius: 2, score: readBias(at) }),
  ],
  'a mechanism’s parameter': [
    [8, D],
    'f32',
    ({ x, read }) => performer.run(x, x, x, { numFeatures: 8, parameters: { projection: read } }),
  ],
  'a further projection': [
    [1, H, L, D],
    'f32',
    ({ x, read }) => longformer.run(x, x, x, { inputs: { globalQ: read } }),
  ],
  'a decoder’s score': [[H, L, L], 'f32', (at) => stepOf(flash.decoder({ maxLength: L, score: readBias(at) }), at.x)],
  'a ring’s score': [
    [H, L, L],
    'f32',
    (at) => stepOf(flash.decoder({ maxLength: L, score: readBias(at), cache: 'ring', window: 3 }), at.x),
  ],
  'the score of a decoder that copies': [
    [H, L, L],
    'f32',
    (at) => stepOf(longformer.decoder({ maxLength: L, score: readBias(at) }), at.x),
  ],
  'a decoder’s parameter': [
    [8, D],
    'f32',
    ({ x, read }) => stepOf(performer.decoder({ maxLength: L, numFeatures: 8, parameters: { projection: read } }), x),
  ],
  'a decoder’s further projection': [
    [1, H, L, D],
    'f32',
    ({ x, read }) => stepOf(longformer.decoder({ maxLength: L }), x, { globalV: read }),
  ],
};

const names = Object.keys(paths);

describe('tensors that a call reads beside q, k and v', () => {
  onEveryDevice((on) => {
    const on2 = (device: Device, shape: readonly number[], dtype?: 'f32' | 'i32'): Tensor => {
      const size = shape.reduce((a, b) => a * b);
      return dtype === 'i32'
        ? tensor(
            Int32Array.from({ length: size }, (_, i) => i % shape.at(-1)!),
            shape,
            { device },
          )
        : tensor(
            normal(size, size).map((x) => -Math.abs(x)),
            shape,
            { device },
          );
    };
    const given = (device: Device, name: string, where: Device): Given => {
      const [shape, dtype] = paths[name]!;
      const make = (own: readonly number[]): Tensor => on2(device, own);
      return { x: make([1, H, L, D]), read: on2(where, shape, dtype), make };
    };

    test.each(names)('%s on another device is refused, and so is one that was disposed', async (name) => {
      const { device } = on;
      const call = paths[name]![2];
      const other = (await openDevice(on.kind, { threads: 1 }))!;
      // frees what decoders keep on a device that goes
      const own = (await openDevice(on.kind, { threads: 1 }))!;
      try {
        scope(() => {
          for (const elsewhere of [other, new RehearsalDevice({ like: device.info })]) {
            const at = given(device, name, elsewhere);
            expect(() => call(at), elsewhere.info.kind).toThrow(OptionError);
            expect(() => call(at)).toThrow(/on one device|another device/);
          }
          const at = given(device, name, device);
          at.read.dispose();
          expect(() => call(at)).toThrow(OptionError);
          expect(() => call(at)).toThrow('was disposed');
        });
        // and the call itself is sound
        if (on.kind !== 'native') scope(() => void call(given(own, name, own)));
      } finally {
        await other.dispose();
        await own.dispose();
      }
    });

    test('a table that is gone when a decoder comes to its next step, or when the gradient is taken', async () => {
      const { device } = on;
      for (const cache of [{}, { cache: 'ring', window: 3 }] as const) {
        const table = on2(device, [H, 40, 40]);
        const x = on2(device, [1, H, 2, D]);
        const decoder = flash.decoder({ maxLength: 40, score: bias(table), ...cache });
        for (let i = 0; i < 3; i++) scope(() => void decoder.step(x, x, x));
        table.dispose();
        expect(() => decoder.step(x, x, x)).toThrow('was disposed');
        expect(decoder.length).toBe(6);
        decoder.dispose();
        x.dispose();
      }
      // the tape keeps what it reads
      const x = tensor(normal(3, H * L * D), [1, H, L, D], { device, requiresGradient: true });
      const table = on2(device, [H, L, L]);
      const { out, logsumexp } = attend(x, x, x, { score: bias(table) });
      table.dispose();
      const [dx] = gradients([out], [x], [x]);
      expect((await dx!.data()).every(Number.isFinite)).toBe(true);
      for (const one of [x, out, logsumexp, dx!]) one.dispose();
    });

    test('a table that says more than its source holds', () => {
      const { device } = on;
      scope(() => {
        const x = on2(device, [1, H, L, D]);
        const source = zeros([3], { device });
        const reading = (table: object): Score => score(({ score: s, k }) => s.add(lookup(table as never, k)));
        for (const table of [
          { name: 't', dtype: 'f32', shape: [L], source },
          { name: 't', dtype: 'f32', shape: [L], source: new Float32Array(3) },
        ]) {
          expect(() => attend(x, x, x, { score: reading(table) })).toThrow(ShapeError);
          expect(() => attend(x, x, x, { score: reading(table) })).toThrow(
            `the table "t" says f32[${L}], but holds f32[3]`,
          );
        }
        const halves = { name: 't', dtype: 'f32', shape: [L], source: tensor(new Int32Array(L), [L], { device }) };
        expect(() => attend(x, x, x, { score: reading(halves) })).toThrow('holds i32[9]');
        expect(() => attend(x, x, x, { score: reading({ ...halves, source: {} }) })).toThrow('which is no tensor');
      });
    });
  });
});
