// of nn/relative

import { describe, expect, it } from 'vitest';
import { ShapeError } from '../../src/core/errors.js';
import { createModel, openSession, readConfig, TransformerXl, type ModelState } from '../../src/models/index.js';
import { concat } from '../../src/ops/index.js';
import { disposeAll, gradients, noGradient, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import type { Device } from '../../src/devices/index.js';
import { fill } from '../nn/check.js';
import type { Graph } from '../oracles/graph.js';
import { budgetOf, expectClose, expectSameBits } from '../support/compare.js';
import { fewNatively, onEveryDevice } from '../support/devices.js';
import { checkModel, exactly, parametersOf, tokensOf } from './check.js';
import { MemoryOracle, type RowsBefore } from './memory-oracle.js';
import { full } from '../support/full.js';

const text = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9];
const base = {
  kind: 'transformer-xl',
  vocabulary: 10,
  length: 4,
  layers: 2,
  width: 8,
  heads: 2,
  feedForward: { hidden: 10 },
  memory: { length: 5 },
};

/** Tokens and targets of segments that begin at these places of the text. */
const segments = (starts: readonly number[]): { tokens: number[]; targets: number[] }[] =>
  starts.map((start, i) => {
    const end = starts[i + 1] ?? text.length - 1;
    return { tokens: text.slice(start, end), targets: text.slice(start + 1, end + 1) };
  });

const models: readonly (readonly [name: string, config: Record<string, unknown>])[] = [
  ['memory longer than a segment', {}],
  ['memory shorter than a segment, grouped heads', { memory: { length: 3 }, kvHeads: 1, tied: false }],
  [
    'post-norm, layer norm, biases, clamped distances',
    { norm: { place: 'post', kind: 'layer' }, bias: true, position: { method: 'transformer-xl', clamp: 4 } },
  ],
  ['a window over memory and segment', { mechanism: { name: 'sliding-window', options: { radius: 3 } } }],
  ['a memory that begins as zeros', { memory: { length: 5, initial: 'zeros' } }],
  [
    'vectors and a softmax by clusters, biases that layers share',
    {
      embedding: { width: 6, adaptive: { cutoffs: [4, 7], divide: 2 }, scale: 2 },
      prediction: { adaptive: 'tails' },
      position: { method: 'transformer-xl', shared: true },
    },
  ],
  [
    'one table of clusters, a softmax with its own',
    { tied: false, embedding: { width: 6, adaptive: { cutoffs: [4] } }, prediction: { adaptive: 'own' } },
  ],
  ['no memory', { memory: { length: 0 } }],
];

const modelOf = (own: Record<string, unknown> = {}): TransformerXl =>
  new TransformerXl(readConfig({ ...base, ...own }));

const oracleOf = (g: Graph, model: TransformerXl, numbers: ReadonlyMap<string, Float32Array>): MemoryOracle =>
  new MemoryOracle(g, model.config, parametersOf(g, model, numbers), 'stack', true);

/** Hidden rows of segments of the given lengths, one after the other, `[rows, T, width]`. */
function inSegments(device: Device, model: TransformerXl, starts: readonly number[], precision?: 'bf16'): Tensor {
  return scope(() => {
    let state: ModelState | undefined;
    const parts = segments(starts).map(({ tokens }) => {
      const next = model.segment(tokensOf(device, tokens), { state, precision });
      state = next.state;
      return next.hidden;
    });
    return concat(parts, { axis: 1 });
  });
}

onEveryDevice((on) => {
  describe('TransformerXl', () => {
    it.each(fewNatively(on.kind, models))(
      '%s: losses of three segments and all gradients are those of the formula',
      async (name, own) => {
        const model = modelOf(own);
        await checkModel(on.device, {
          name,
          module: model,
          weights: [0.7, -1.3, 1.1],
          run: () => {
            let state: ModelState | undefined;
            return segments([0, 4, 8]).map(({ tokens, targets }) => {
              const next = model.loss(
                { tokens: tokensOf(on.device, tokens), targets: tokensOf(on.device, targets) },
                { state },
              );
              state = next.state;
              return next.loss;
            });
          },
          oracle: (g, parameter) => {
            const oracle = new MemoryOracle(g, model.config, parameter, 'stack', true);
            let memories: readonly RowsBefore[] = [];
            return segments([0, 4, 8]).map(({ tokens, targets }) => {
              const next = oracle.segment(tokens, targets, memories);
              memories = next.memories;
              return next.loss;
            });
          },
        });
        model.dispose();
      },
    );

    // natively a kernel for every length of a segment
    it.runIf(on.kind === 'wasm' || full)(
      'a text in segments, even of one token, is the text in one, as long as the memory holds all',
      async () => {
        const model = modelOf({ memory: { length: 14 } });
        const numbers = fill(model, on.device, 7);
        const [{ tokens, targets }] = segments([0]) as [ReturnType<typeof segments>[number]];
        const { exact, budget } = exactly((g) => oracleOf(g, model, numbers).segment(tokens, targets).hidden);
        for (const precision of [undefined, 'bf16'] as const) {
          const outs = noGradient(() =>
            [[0], [0, 4, 8], [0, 3, 11, 12], tokens.map((_, i) => i)].map((starts) =>
              inSegments(on.device, model, starts, precision),
            ),
          );
          const [whole, ...cut] = await Promise.all(outs.map((one) => one.data()));
          const most = precision === undefined ? budget : budgetOf(exact, whole);
          for (const one of cut) expectClose('segments', one, exact, { budget: most });
          disposeAll(outs);
        }
        model.dispose();
      },
    );

    it('outputs do not depend on later tokens, and depend on those of a memory', async () => {
      const model = modelOf();
      fill(model, on.device, 7);
      const outs = noGradient(() =>
        scope(() => {
          const state = (tokens: number[]) => model.segment(tokensOf(on.device, tokens)).state;
          const hidden = (tokens: number[], before: ModelState) =>
            model.segment(tokensOf(on.device, tokens), { state: before }).hidden;
          const before = state([3, 1, 4, 1]);
          const other = state([3, 1, 4, 2]);
          return [hidden([5, 9, 2, 6], before), hidden([5, 9, 2, 7], before), hidden([5, 9, 2, 6], other)];
        }),
      );
      const [plain, later, after] = await Promise.all(outs.map((one) => one.data()));
      expectSameBits('earlier rows', later!.slice(0, 24), plain!.slice(0, 24));
      expect(later!.slice(24)).not.toEqual(plain!.slice(24));
      expect(after!.slice(0, 8)).not.toEqual(plain!.slice(0, 8));
      disposeAll(outs);
      model.dispose();
    });

    it('no gradient flows through the memory', async () => {
      const model = modelOf({ tied: false });
      fill(model, on.device, 7);
      const [first, second] = [
        [1, 2, 1, 2],
        [3, 4, 5, 3],
      ] as const;
      const found = scope(() => {
        const { state } = model.loss({ tokens: tokensOf(on.device, first), targets: tokensOf(on.device, second) });
        const next = model.loss(
          { tokens: tokensOf(on.device, second), targets: tokensOf(on.device, first) },
          { state },
        );
        expect(next.losses).toBeUndefined();
        const rows = [...Object.values(state!), ...Object.values(next.state!)];
        expect(rows.map(({ requiresGradient }) => requiresGradient)).toEqual([false, false, false, false]);
        return gradients([next.loss], [model.stateDict().get('ends.embedding.weight')!])[0]!;
      });
      const rows = Array.from(await found.data());
      const row = (token: number): number[] => rows.slice(token * 8, (token + 1) * 8);
      // of the table's rows those move that the segment has, and none that the memory alone has
      for (const token of [1, 2]) expect(row(token).every((x) => x === 0)).toBe(true);
      for (const token of [3, 4, 5]) expect(row(token).every((x) => x !== 0)).toBe(true);
      found.dispose();
      model.dispose();
    });

    it('the state has the last rows of every layer, in the precision of the call, and is the caller’s', async () => {
      const model = modelOf();
      fill(model, on.device, 7);
      const i32 = (rows: number, length: number) =>
        tensor(
          Int32Array.from({ length: rows * length }, (_, i) => (i * 7) % 10),
          [rows, length],
          { device: on.device },
        );
      noGradient(() =>
        scope(() => {
          const one = model.loss({ tokens: i32(3, 4), targets: i32(3, 4) }, { precision: 'f16' }).state!;
          expect(Object.keys(one)).toEqual(['recent.0', 'recent.1']);
          expect(one['recent.1']!.shape).toEqual([3, 4, 8]);
          expect(one['recent.1']!.dtype).toBe('f16');
          const two = model.loss({ tokens: i32(3, 4), targets: i32(3, 4) }, { state: one });
          expect(two.state!['recent.0']!.shape).toEqual([3, 5, 8]);
          disposeAll(one);
          const three = model.loss({ tokens: i32(3, 7), targets: i32(3, 7) }, { state: two.state, reduction: 'none' });
          expect(three.loss.shape).toEqual([3, 7]);
          expect(three.state!['recent.0']!.shape).toEqual([3, 5, 8]);
          const none = modelOf({ memory: { length: 0 } }).initialise({ device: on.device, seed: 1 });
          expect(none.loss({ tokens: i32(3, 4), targets: i32(3, 4) }).state).toEqual({});
          none.dispose();
        }),
      );
      model.dispose();
    });

    it('goes on from a state of plain numbers as from its own', async () => {
      const model = modelOf();
      fill(model, on.device, 7);
      const first = noGradient(() => scope(() => model.segment(tokensOf(on.device, text.slice(0, 4)))));
      const entries = Object.entries(first.state);
      const numbers = await Promise.all(entries.map(async ([name, x]) => [name, await x.data(), x.shape] as const));
      const [own, read] = scope(() =>
        noGradient(() => {
          const state = Object.fromEntries(
            numbers.map(([name, data, shape]) => [name, tensor(data, shape, { device: on.device })]),
          );
          return [first.state, state].map(
            (given) => model.logits(tokensOf(on.device, text.slice(4, 8)), { state: given }).logits,
          );
        }),
      ) as [Tensor, Tensor];
      expectSameBits('logits', await read.data(), await own.data());
      disposeAll([first, own, read]);
      model.dispose();
    });

    it('a batch is its rows apart, memories too', async () => {
      const model = modelOf();
      const numbers = fill(model, on.device, 7);
      const rows = [text.slice(0, 8), text.slice(5, 13)];
      const hidden = noGradient(() =>
        scope(() => {
          const [first, second] = [0, 4].map((start) => rows.flatMap((row) => row.slice(start, start + 4)));
          const { state } = model.segment(tokensOf(on.device, first!, 2));
          return model.segment(tokensOf(on.device, second!, 2), { state }).hidden;
        }),
      );
      const { exact, budget } = exactly((g) => {
        const oracle = oracleOf(g, model, numbers);
        const each = rows.map((row) => {
          const { memories } = oracle.segment(row.slice(0, 4), row.slice(0, 4));
          return oracle.segment(row.slice(4), row.slice(4), memories).hidden;
        });
        return g.concatRows(each);
      });
      expectClose('rows', await hidden.data(), exact, { budget });
      hidden.dispose();
      model.dispose();
    });

    it('refuses a state that does not fit, with every reason', () => {
      const model = modelOf().initialise({ device: on.device, seed: 1 });
      scope(() => {
        const state = {
          'recent.0': tensor(new Float32Array(16), [2, 1, 8], { device: on.device }),
          'recent.2': tensor(new Float32Array(8), [1, 1, 8], { device: on.device }),
          'compressed.0': tensor(new Float32Array(8), [1, 1, 8], { device: on.device }),
        };
        const call = (): unknown => model.segment(tokensOf(on.device, [1, 2]), { state });
        expect(call).toThrow(ShapeError);
        expect(call).toThrow(/recent\.0 must be \[1,rows,8\], not \[2,1,8\]; unexpected recent\.2 .*compressed\.0/);
      });
      model.dispose();
    });

    it('refuses a mechanism of one sequence, and padding that its memory would hold', () => {
      const mechanism = { name: 'blockwise', options: { numBlocks: 2 } };
      expect(() => readConfig({ ...base, mechanism })).toThrow('as many queries as keys; got L=4 and S=9');
      expect(readConfig({ ...base, mechanism, memory: { length: 0 } }).mechanism.name).toBe('blockwise');
      const model = modelOf().initialise({ device: on.device, seed: 1 });
      scope(() => {
        const x = tensor(new Float32Array(32), [1, 4, 8], { device: on.device });
        expect(() => model.stack.forward(x, { lengths: [3] })).toThrow('layers.0: takes no padding');
      });
      model.dispose();
    });

    it('a session whose memory begins as zeros, and sees as many rows as that has, gives the logits of the whole text', async () => {
      const model = modelOf({
        memory: { length: 6, initial: 'zeros' },
        mechanism: { name: 'sliding-window', options: { causalWindow: 6 } },
        embedding: { width: 6, adaptive: { cutoffs: [4, 7], divide: 2 } },
        prediction: { adaptive: 'tied' },
      });
      const numbers = fill(model, on.device, 5);
      const session = openSession(model, { maxLength: 9 });
      const steps = scope(() => [text.slice(0, 4), [5], [9, 2]].map((part) => session.step(part)));
      const oracle = (length: number) =>
        exactly((g) => {
          const own = oracleOf(g, model, numbers);
          const { hidden } = own.rows(text.slice(0, length));
          const logits = own.logitsAt(hidden);
          return g.rows(logits, length - 1, length);
        });
      for (const [i, length] of [4, 5, 7].entries()) {
        const { exact, budget } = oracle(length);
        expectClose(`step ${i}`, await steps[i]!.data(), exact, { budget });
      }
      disposeAll(steps);
      session.dispose();
      model.dispose();
    });

    it('is what createModel gives for its kind', () => {
      expect(createModel(readConfig(base))).toBeInstanceOf(TransformerXl);
    });
  });
});
