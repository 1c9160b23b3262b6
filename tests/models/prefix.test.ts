import { describe, expect, test } from 'vitest';
import { document } from '../../src/masks/index.js';
import { readConfig } from '../../src/models/index.js';
import { Stack } from '../../src/models/stack.js';
import { broadcastTo, concat, slice } from '../../src/ops/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { fill } from '../nn/check.js';
import { expectSameBits } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { uniform } from '../support/random.js';

const base = { kind: 'encoder', length: 9, layers: 2, width: 8, heads: 2, position: 'none' } as const;
const [B, L, W, PREFIX] = [2, 5, 8, 3];
const stackOf = (json: object): Stack => new Stack(readConfig({ ...base, ...json }), { causal: false, cross: false });

onEveryDevice((on) => {
  test.each(['plain', 'checkpointed', 'reversible'])(
    'rows before those of a text are rows of it until the end, gradients too: residual %s',
    async (residual) => {
      const [whole, plain] = [stackOf({ residual, embedding: { prefix: PREFIX } }), stackOf({ residual })];
      fill(whole, on.device, 5);
      const state = whole.stateDict();
      plain.load(new Map([...state].filter(([name]) => name !== 'prefix')));
      const lengths = [5, 3];
      const results = (run: (x: Tensor, prefix: Tensor) => Tensor, prefix: Tensor): readonly Tensor[] =>
        scope(() => {
          const x = tensor(uniform(8, B * L * W), [B, L, W], { device: on.device, requiresGradient: true });
          const out = run(x, prefix);
          const cotangent = tensor(uniform(7, B * L * W), [B, L, W], { device: on.device });
          return [out, ...gradients([out], [x, prefix], [cotangent])];
        });
      const learned = whole.learnedTensors().get('prefix')!;
      const got = results((x) => whole.forward(x, { lengths }).stream, learned);
      const want = results((x, prefix) => {
        const all = concat([broadcastTo(prefix, [B, PREFIX, W]), x], { axis: 1 });
        const { stream } = plain.forward(all, { lengths: lengths.map((one) => one + PREFIX) });
        return slice(stream, { axis: 1, start: PREFIX });
      }, learned);
      for (const [i, what] of ['out', 'dx', 'dprefix'].entries()) {
        expectSameBits(what, await got[i]!.data(), await want[i]!.data());
      }
      expect((await got[2]!.data()).some((x) => x !== 0)).toBe(true);
      scope(() => {
        const x = tensor(uniform(8, B * L * W), [B, L, W], { device: on.device });
        expect(() => whole.forward(x, { mask: document([0, 0, 1, 1, 1]) })).toThrow('which name rows; leave them out');
      });
      disposeAll([got, want]);
      whole.dispose();
      plain.dispose();
    },
  );
});

describe('a configuration with such rows', () => {
  const read = (json: object) => () => readConfig({ ...base, embedding: { prefix: 2 }, ...json });

  test('is of an encoder, and of that of an encoder–decoder alone', () => {
    expect(read({ kind: 'encoder-decoder', decoder: { position: 'rope' } })).not.toThrow();
    expect(read({ kind: 'decoder' })).toThrow('embedding.prefix is for encoders; got kind decoder');
    const config = read({ norm: { prefix: true }, pattern: [{}, { norm: { prefix: false } }] })();
    expect(readConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  test.each([
    ['positions that turn', { position: 'rope' }, 'positions that are added to embeddings, or none; got rope'],
    ['fewer rows', { layers: [{ pooling: 'mean' }] }, 'as many rows as they take'],
    ['norms behind', { norm: { prefix: true, place: 'post' } }, 'norm.prefix is for norm.place "pre"'],
    ['a norm of none', { embedding: {}, norm: { prefix: true } }, 'norm.prefix is for the rows of embedding.prefix'],
  ])('does not have %s', (_, json, message) => {
    expect(read(json)).toThrow(message);
  });
});
