import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import { createModel, mergeAdapters, adaptersOf, readConfig, type Transformer } from '../../src/models/index.js';
import { Linear } from '../../src/nn/index.js';
import { loadAdapters, rehearseTraining, saveAdapters } from '../../src/train/index.js';
import { disposeAll, gradients, keep, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { budgetOf, expectClose, expectSameBits } from '../support/compare.js';
import { onWebAssemblyFirst } from '../support/devices.js';
import { normal } from '../support/random.js';
import { Graph, type Matrix as GraphMatrix } from '../oracles/graph.js';
import { exactly, numbersOf, parametersOf, tokensOf } from './check.js';
import { ModelOracle } from './oracle.js';
import { temporaryFolder } from '../cli/io.js';

const small = { layers: 2, width: 16, heads: 2, length: 12, vocabulary: 24 };
const lora = { rank: 3, alpha: 6 };
type Matrix = readonly (readonly number[])[];

const matrix = (x: ArrayLike<number>, columns: number): Matrix =>
  Array.from({ length: x.length / columns }, (_, i) => Array.from({ length: columns }, (_, j) => x[i * columns + j]!));
const turned = (x: Matrix): Matrix => x[0]!.map((_, j) => x.map((row) => row[j]!));
/** Products in float64, or with every operation rounded to float32. */
const times = (a: Matrix, b: Matrix, r: (x: number) => number): Matrix =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, x, k) => r(sum + r(x * b[k]![j]!)), 0)));
const scaled = (x: Matrix, by: number, r: (x: number) => number): Matrix => x.map((row) => row.map((v) => r(v * by)));

/** Tokens of two texts. */
const listOf = (add: number): number[] => Array.from({ length: 24 }, (_, i) => (7 * i + add) % 24);

/** Products with W + 2·A·B as x·W + (2·x·A)·B. */
class Apart extends Graph {
  readonly changes = new Map<GraphMatrix, readonly [a: GraphMatrix, b: GraphMatrix]>();

  override matmul(x: GraphMatrix, w: GraphMatrix): GraphMatrix {
    const change = this.changes.get(w);
    if (change === undefined) return super.matmul(x, w);
    const [a, b] = change;
    return this.add(super.matmul(x, w), super.matmul(this.scale(super.matmul(x, a), 2), b));
  }
}

/** The loss of a model whose adapters are merged first, or apart. */
function lossWith(
  { arithmetic, order }: Graph,
  model: Transformer,
  { numbers, merged }: { readonly numbers: ReadonlyMap<string, Float32Array>; readonly merged: boolean },
): GraphMatrix {
  const g = new Apart(arithmetic, order);
  const own = parametersOf(g, model, numbers);
  const weights = new Map<string, GraphMatrix>();
  for (const name of numbers.keys()) {
    const [a, b] = ['a', 'b'].map((part) => own(name.replace(/weight$/, `lora.${part}`)) as GraphMatrix | undefined);
    if (!name.endsWith('.weight') || !a || !b) weights.set(name, own(name));
    else if (merged) weights.set(name, g.add(own(name), g.scale(g.matmul(a, b), 2)));
    else {
      weights.set(name, own(name));
      g.changes.set(own(name), [a, b]);
    }
  }
  const oracle = new ModelOracle(g, model.config, (name) => weights.get(name)!);
  const [tokens, targets] = [listOf(0), listOf(7)];
  const losses = [0, 12].map((at) => oracle.loss(tokens.slice(at, at + 12), targets.slice(at, at + 12)));
  return g.scale(g.add(losses[0]!, losses[1]!), 1 / 2);
}

describe('adapters of low rank', () => {
  onWebAssemblyFirst((on) => {
    test('of a linear layer: values and gradients as the formula has them', async () => {
      const [inputs, outputs, rows, rank] = [7, 5, 6, 3];
      const data = {
        x: normal(1, rows * inputs),
        w: normal(2, inputs * outputs),
        a: normal(3, inputs * rank),
        b: normal(4, rank * outputs),
        d: normal(5, rows * outputs),
      };
      const oracle = (r: (x: number) => number) => {
        const [x, w, a, b, d] = [
          matrix(data.x, inputs),
          matrix(data.w, outputs),
          matrix(data.a, rank),
          matrix(data.b, outputs),
          matrix(data.d, outputs),
        ];
        const inner = scaled(times(x, a, r), 2, r);
        const change = times(inner, b, r);
        return {
          out: times(x, w, r).flatMap((row, i) => row.map((v, j) => r(v + change[i]![j]!))),
          merged: times(
            x,
            scaled(times(a, b, r), 2, r).map((row, i) => row.map((v, j) => r(w[i]![j]! + v))),
            r,
          ).flat(),
          da: times(turned(x), scaled(times(d, turned(b), r), 2, r), r).flat(),
          db: times(turned(inner), d, r).flat(),
          dx: times(d, turned(w), r).flatMap((row, i) =>
            row.map((v, j) => r(v + times(scaled(times(d, turned(b), r), 2, r), turned(a), r)[i]![j]!)),
          ),
        };
      };
      const [exact, plain] = [oracle((x) => x), oracle(Math.fround)];
      const layer = new Linear(inputs, outputs, { bias: false });
      layer.freeze();
      layer.adapt({ rank, alpha: 2 * rank });
      const make = (x: ArrayLike<number>, shape: number[], requiresGradient = false): Tensor =>
        tensor(Float32Array.from(x), shape, { device: on.device, requiresGradient });
      const given = [
        ['weight', make(data.w, [inputs, outputs])],
        ['lora.a', make(data.a, [inputs, rank])],
        ['lora.b', make(data.b, [rank, outputs])],
      ] as const;
      layer.load(new Map(given));
      const x = make(data.x, [rows, inputs], true);
      const out = layer.forward(x);
      const learned = layer.learnedTensors();
      expect([...learned.keys()]).toEqual(['lora.a', 'lora.b']);
      const d = make(data.d, [rows, outputs]);
      const found = gradients([out], [x, ...learned.values()], [d]);
      const got = { out, dx: found[0]!, da: found[1]!, db: found[2]! };
      for (const [name, value] of Object.entries(got)) {
        const [want, rounded] = [exact, plain].map((one) => one[name as keyof typeof exact]);
        expectClose(name, await value.data(), want!, { budget: budgetOf(want!, rounded) });
      }
      // merged, the weight is W + 2·A·B
      layer.merge();
      expect([...layer.namedParameters().keys()]).toEqual(['weight']);
      const merged = layer.forward(x);
      expectClose('merged', await merged.data(), exact.out, { budget: budgetOf(exact.out, plain.merged) });
      disposeAll([given.map(([, one]) => one), x, out, d, found, merged]);
      layer.dispose();
    });

    const made = (config: object) =>
      createModel(readConfig({ ...small, ...config })).initialise({ device: on.device, seed: 3 });
    const batch = () => {
      const list = (add: number): Tensor => tokensOf(on.device, listOf(add), 2);
      return { tokens: list(0), targets: list(7) };
    };

    test('begin as no change; alone are learned, whatever keeps the layers', async () => {
      for (const residual of ['plain', 'checkpointed', 'reversible']) {
        const [plain, adapted] = [made({ residual }), made({ residual, lora })];
        const given = batch();
        const [a, b] = [plain.loss(given), adapted.loss(given)];
        expectSameBits(residual, await a.loss.data(), await b.loss.data());
        const learned = adapted.learnedTensors();
        expect(new Set(learned.keys())).toEqual(new Set(adaptersOf(adapted).keys()));
        expect(learned.size).toBe(2 * 2 * 2);
        const found = gradients([b.loss], [...learned.values()]);
        // A has no part in a product with zeros, B has
        for (const [i, name] of [...learned.keys()].entries()) {
          const most = Math.max(...(await found[i]!.data()).map(Math.abs));
          expect(most > 0, name).toBe(name.endsWith('.b'));
        }
        disposeAll([given, a, b, found]);
        for (const one of [plain, adapted]) one.dispose();
      }
    });

    test('are saved apart, and merged into a model without', async () => {
      const model = made({ lora: { ...lora, on: ['qkv', 'up'] } });
      const change = [...adaptersOf(model)].filter(([name]) => name.endsWith('.b'));
      const next = change.map(([name, { shape, size }], i) => {
        const x = tensor(
          normal(i, size).map((v) => 0.1 * v),
          shape,
          { device: on.device },
        );
        return [name, x] as const;
      });
      model.load(new Map(next), { missing: 'keep' });
      const folder = join(temporaryFolder(), 'adapters');
      await saveAdapters(folder, model, { lora, from: null });
      const other = made({ lora: { ...lora, on: ['qkv', 'up'] } });
      await loadAdapters(folder, other);
      for (const [name, x] of other.stateDict()) {
        expectSameBits(name, await x.data(), await model.stateDict().get(name)!.data());
      }
      const given = batch();
      const before = model.loss(given);
      mergeAdapters(other);
      const plain = made({});
      expect([...other.stateDict().keys()]).toEqual([...plain.stateDict().keys()]);
      expect(other.learnedTensors().size).toBe(plain.learnedTensors().size);
      const after = other.loss(given);
      const numbers = await numbersOf(model);
      for (const [name, { loss }] of Object.entries({ before, after })) {
        const { exact, budget } = exactly((g) =>
          lossWith(g, model as Transformer, { numbers, merged: name === 'after' }),
        );
        expectClose(name, await loss.data(), exact, { budget });
      }
      const less = made({ lora });
      await expect(loadAdapters(folder, less)).rejects.toThrow(ShapeError);
      await expect(saveAdapters(folder, plain, { lora, from: null })).rejects.toThrow(OptionError);
      disposeAll([next.map(([, x]) => x), given, before, after]);
      for (const one of [model, other, plain, less]) one.dispose();
    });

    test('a plan counts what trains', async () => {
      const settings = {
        batchSize: 1,
        accumulate: 1,
        precision: 'f32',
        like: on.device.info,
        optimiser: (await import('../../src/train/index.js')).adamW,
      } as const;
      const cost = (config: object) =>
        rehearseTraining(readConfig({ ...small, width: 64, length: 4, ...config }), settings);
      const [all, few] = [await cost({}), await cost({ lora: { rank: 1 } })];
      const parameters = scope(() =>
        keep([...made({ width: 64 }).stateDict().values()]).map((x) => [x.size, x.dispose()][0]!),
      );
      const total = parameters.reduce((sum, size) => sum + size, 0);
      // two moments of every parameter less, and no gradients of them
      expect(few.peakBytes).toBeLessThan(all.peakBytes - 8 * 0.8 * total);
    });

    test('names that there are not, and a rank that is missing', () => {
      expect(() => made({ lora: { rank: 2, on: ['qkv', 'nonsense'] } })).toThrow(
        'lora: no linear layer of this model is called nonsense; there are qkv, out, up, down.',
      );
      expect(() => readConfig({ ...small, lora: {} })).toThrow('lora.rank is missing');
    });
  });
});
