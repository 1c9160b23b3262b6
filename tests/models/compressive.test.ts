import { describe, expect, it } from 'vitest';
import {
  CompressiveTransformer,
  createModel,
  readConfig,
  TransformerXl,
  type ModelState,
} from '../../src/models/index.js';
import { add } from '../../src/ops/index.js';
import { disposeAll, gradients, noGradient, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import type { Device } from '../../src/devices/index.js';
import { fill } from '../nn/check.js';
import { expectClose, expectSameBits } from '../support/compare.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { checkModel, tokensOf } from './check.js';
import { MemoryOracle, type RowsBefore } from './memory-oracle.js';

const text = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2];
const base = {
  kind: 'compressive-transformer',
  vocabulary: 10,
  length: 4,
  layers: 2,
  width: 8,
  heads: 2,
  feedForward: { hidden: 10 },
  memory: { length: 5, compressed: 2, ratio: 2 },
};

const modelOf = (own: Record<string, unknown> = {}): CompressiveTransformer =>
  new CompressiveTransformer(readConfig({ ...base, ...own }));

const segments = [0, 4, 8, 12].map((start) => ({
  tokens: text.slice(start, start + 4),
  targets: text.slice(start + 1, start + 5),
}));

const models: readonly (readonly [name: string, config: Record<string, unknown>])[] = [
  ['pairs', {}],
  [
    'threes, memory shorter than a segment, grouped heads',
    { memory: { length: 2, compressed: 3, ratio: 3 }, kvHeads: 1, tied: false },
  ],
  ['post-norm, layer norm, biases', { norm: { place: 'post', kind: 'layer' }, bias: true }],
  ['no recent memory', { memory: { length: 0, compressed: 2, ratio: 4 } }],
];

/** Losses of all segments in order, and the sum of their auxiliary losses. */
function lossesOf(device: Device, model: TransformerXl): { losses: Tensor[]; auxiliary: Tensor; state: ModelState } {
  return scope(() => {
    let state: ModelState | undefined;
    let auxiliary: Tensor | undefined;
    const losses = segments.map(({ tokens, targets }) => {
      const next = model.loss({ tokens: tokensOf(device, tokens), targets: tokensOf(device, targets) }, { state });
      state = next.state;
      const own = next.losses?.['reconstruction'];
      if (own) auxiliary = auxiliary ? add(auxiliary, own) : own;
      return next.loss;
    });
    return { losses, auxiliary: auxiliary!, state: state! };
  });
}

/** Hidden rows of the last of all segments. */
const lastHidden = (device: Device, model: TransformerXl): Tensor =>
  noGradient(() =>
    scope(() => {
      let state: ModelState | undefined;
      return segments
        .map(({ tokens }) => {
          const next = model.segment(tokensOf(device, tokens), { state });
          state = next.state;
          return next.hidden;
        })
        .at(-1)!;
    }),
  );

onEveryDevice((on) => {
  describe('CompressiveTransformer', () => {
    it.each(fewNatively(on.kind, models))(
      '%s: all losses of four segments and all gradients are those of the formula',
      async (name, own) => {
        const model = modelOf(own);
        await checkModel(on.device, {
          name,
          module: model,
          weights: [0.7, -1.3, 1.1, 0.9, 1.7],
          run: () => {
            const { losses, auxiliary } = lossesOf(on.device, model);
            return [...losses, auxiliary];
          },
          oracle: (g, parameter) => {
            const oracle = new MemoryOracle(g, model.config, parameter, 'stack', true);
            let memories: readonly RowsBefore[] = [];
            const all = segments.map(({ tokens, targets }) => {
              const next = oracle.segment(tokens, targets, memories);
              memories = next.memories;
              return next;
            });
            const auxiliary = all.flatMap((one) => one.auxiliary ?? []).reduce((sum, one) => g.add(sum, one));
            return [...all.map(({ loss }) => loss), auxiliary];
          },
        });
        model.dispose();
      },
    );

    it('predictions do not train f_c, and reconstruction trains nothing else', async () => {
      const model = modelOf();
      fill(model, on.device, 7);
      const names = [...model.namedParameters().keys()];
      const found = scope(() => {
        const leaves = [...model.stateDict().values()];
        const { losses, auxiliary, state } = lossesOf(on.device, model);
        for (const rows of Object.values(state)) expect(rows.requiresGradient).toBe(false);
        return [gradients(losses, leaves), gradients([auxiliary], leaves)];
      });
      const [predicted, reconstructed] = await Promise.all(
        found.map((all) => Promise.all(all.map((one) => one.data()))),
      );
      for (const [i, name] of names.entries()) {
        const compression = name.startsWith('compressions.');
        expect(
          predicted![i]!.some((x) => x !== 0),
          `loss moves ${name}`,
        ).toBe(!compression);
        expect(
          reconstructed![i]!.some((x) => x !== 0),
          `auxiliary moves ${name}`,
        ).toBe(compression);
      }
      disposeAll(found);
      model.dispose();
    });

    it('without compressed rows it is a Transformer-XL', async () => {
      const model = modelOf({ memory: { length: 5, compressed: 0, ratio: 2 } });
      const other = new TransformerXl(readConfig({ ...base, kind: 'transformer-xl', memory: { length: 5 } }));
      fill(model, on.device, 7);
      other.load(model.stateDict());
      const outs = [lastHidden(on.device, model), lastHidden(on.device, other)];
      const [one, two] = await Promise.all(outs.map((out) => out.data()));
      expectSameBits('hidden', one!, two!);
      disposeAll(outs);
      model.dispose();
      other.dispose();
    });

    it('with ratio 1 and the identity for f_c, as it begins, the memory is longer', async () => {
      const model = modelOf({ memory: { length: 3, compressed: 6, ratio: 1 } });
      model.initialise({ device: on.device, seed: 1 });
      const other = new TransformerXl(readConfig({ ...base, kind: 'transformer-xl', memory: { length: 9 } }));
      other.load(new Map([...model.stateDict()].filter(([name]) => !name.startsWith('compressions.'))));
      const outs = [lastHidden(on.device, model), lastHidden(on.device, other)];
      const [one, two] = await Promise.all(outs.map((out) => out.data()));
      expectClose('hidden', one!, two!);
      disposeAll(outs);
      model.dispose();
      other.dispose();
    });

    it('f_c begins as the mean of its rows: a constant memory stays that constant', async () => {
      const model = modelOf({ memory: { length: 4, compressed: 4, ratio: 4 } }).initialise({
        device: on.device,
        seed: 1,
      });
      const row = [0.5, -1, 2, 3, -4, 0.25, 7, 0];
      const out = scope(() =>
        model.compress(
          1,
          tensor(
            Float32Array.from({ length: 64 }, (_, i) => row[i % 8]!),
            [1, 8, 8],
            { device: on.device },
          ),
        ),
      );
      expect(out.shape).toEqual([1, 2, 8]);
      expect([...(await out.data())]).toEqual([...row, ...row]);
      out.dispose();
      model.dispose();
    });

    it('rows leave in whole groups, and the same ones whatever the segments are', async () => {
      const model = modelOf({ memory: { length: 4, compressed: 3, ratio: 3 } });
      fill(model, on.device, 7);
      const after = (lengths: readonly number[]) =>
        noGradient(() =>
          scope(() => {
            let [state, start] = [undefined as ModelState | undefined, 0];
            const counts = lengths.map((length) => {
              const tokens = tokensOf(on.device, text.slice(start, start + length));
              start += length;
              const next = model.loss({ tokens, targets: tokens }, { state, reduction: 'none' });
              expect(next.losses).toBeUndefined();
              state = next.state!;
              return ['recent.0', 'compressed.0'].map((name) => state![name]?.shape[1] ?? 0);
            });
            return { counts, compressed: state!['compressed.0']!, recent: state!['recent.0']! };
          }),
        );
      const [fours, ones, whole] = [after([4, 4, 4, 4]), after(text.slice(1).map(() => 1)), after([16])];
      // of 4, 8, 12 and 16 rows at least 4 stay, and all others that are no multiple of 3
      expect(fours.counts).toEqual([
        [4, 0],
        [5, 1],
        [6, 2],
        [4, 3],
      ]);
      // 12 rows became 4, of which 3 are kept
      expect(whole.counts).toEqual([[4, 3]]);
      for (const name of ['compressed', 'recent'] as const) {
        const [a, b, c] = await Promise.all([fours, ones, whole].map((one) => one[name].data()));
        expectClose(name, b!, a!);
        expectClose(name, c!, a!);
      }
      disposeAll([fours, ones, whole]);
      model.dispose();
    });

    it('in 16 bits the memory has 16 bits, and losses are sums in f32', async () => {
      const model = modelOf().initialise({ device: on.device, seed: 1 });
      const run = (precision: 'f32' | 'bf16') =>
        scope(() => {
          let state: ModelState | undefined;
          const all = segments.map(({ tokens, targets }) => {
            const next = model.loss(
              { tokens: tokensOf(on.device, tokens), targets: tokensOf(on.device, targets) },
              { state, precision },
            );
            state = next.state;
            return next;
          });
          return all.at(-1)!;
        });
      const [full, half] = [run('f32'), run('bf16')];
      expect(Object.values(half.state!).map(({ dtype }) => dtype)).toEqual(['bf16', 'bf16', 'bf16', 'bf16']);
      expect([half.loss.dtype, half.losses!['reconstruction']!.dtype]).toEqual(['f32', 'f32']);
      // numbers of 8 bits in the layers
      expect(Math.abs((await half.loss.item()) / (await full.loss.item()) - 1)).toBeLessThan(2 ** -8);
      expect(
        Math.abs((await half.losses!['reconstruction']!.item()) / (await full.losses!['reconstruction']!.item()) - 1),
      ).toBeLessThan(2 ** -5);
      disposeAll([full, half]);
      model.dispose();
    });

    it('is what createModel gives for its kind', () => {
      expect(createModel(readConfig(base))).toBeInstanceOf(CompressiveTransformer);
    });
  });
});
