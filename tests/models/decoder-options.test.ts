// of nn/query-key-norm

import { describe, expect, test } from 'vitest';
import { createModel, readConfig } from '../../src/models/index.js';
import type { Transformer } from '../../src/models/transformer.js';
import { weightMap, type WeightRule } from '../../src/nn/index.js';
import { gradients, disposeAll, scope, tensor, type Tensor } from '../../src/tensor/index.js';
import { fill } from '../nn/check.js';
import { double, single } from '../oracles/arithmetic.js';
import { DecoderOracle, type DecoderRule, type LayerRule, type Weights } from '../oracles/decoder.js';
import { Graph } from '../oracles/graph.js';
import { checkGreedy } from '../pretrained/greedy.js';
import { budgetOf, expectClose } from '../support/compare.js';
import { onWebAssemblyFirst } from '../support/devices.js';
import { uniform } from '../support/random.js';
import { linear, apart } from '../../src/pretrained/projections.js';

const [V, W, H, G, D, L] = [13, 16, 4, 2, 6, 11];
const base = { vocabulary: V, length: L, layers: 2, width: W, heads: H, kvHeads: G, headDim: D };
const layer = 'stack.layers.{i}';

/** Between names as a file might have them, and ours. */
const map = weightMap([
  ['table', 'ends.embedding.weight'],
  ['{i}.norm.{*}', `${layer}.attentionResidual.norm.{*}`],
  ['{i}.outNorm.{*}', `${layer}.attentionResidual.outNorm.{*}`],
  ['{i}.feedNorm.{*}', `${layer}.feedForwardResidual.norm.{*}`],
  ['{i}.feedOutNorm.{*}', `${layer}.feedForwardResidual.outNorm.{*}`],
  ...apart('{i}', `${layer}.attention`, { heads: H, kvHeads: G, headDim: D }, ['q', 'k', 'v']),
  ['{i}.qNorm.{*}', `${layer}.attention.queryKeyNorm.query.{*}`],
  ['{i}.kNorm.{*}', `${layer}.attention.queryKeyNorm.key.{*}`],
  ['{i}.sinks', `${layer}.attention.sinks`],
  ...linear('{i}.headGate', `${layer}.attention.gate`),
  ...linear('{i}.out', `${layer}.attention.out`),
  ...['gate', 'up', 'down'].flatMap((name): readonly WeightRule[] =>
    linear(`{i}.${name}`, `${layer}.feedForward.${name}`),
  ),
  ['finalNorm.{*}', 'stack.norm.{*}'],
]);

const turned = (rotary: number, base = 10000): number[] =>
  Array.from({ length: rotary / 2 }, (_, k) => base ** ((-2 * k) / rotary));

const plain = (i: number): LayerRule => ({
  norms: { attention: `${i}.norm`, feed: `${i}.feedNorm` },
  q: (h) => ({ name: `${i}.q`, row: h * D }),
  k: (h) => ({ name: `${i}.k`, row: h * D }),
  v: (h) => ({ name: `${i}.v`, row: h * D }),
  out: `${i}.out`,
  scale: D ** -0.5,
  turn: { angles: turned(D) },
  up: { name: `${i}.up` },
  down: { name: `${i}.down` },
  activation: 'gelu',
});

interface Case {
  readonly json: object;
  readonly layer: (i: number) => Partial<LayerRule>;
  readonly norm?: Partial<DecoderRule['norm']>;
}

/** Llama 3.1's rule in wavelengths, as its authors have it. */
const byWavelength = (angle: number, length: number, factor: number): number => {
  const wave = (2 * Math.PI) / angle;
  if (wave < length / 4) return angle;
  if (wave > length / 1) return angle / factor;
  const smooth = (length / wave - 1) / (4 - 1);
  return (1 - smooth) * (angle / factor) + smooth * angle;
};

const cases: Readonly<Record<string, Case>> = {
  'sinks, under a window and ALiBi': {
    json: {
      attention: { sinks: true },
      position: { method: 'alibi', exponent: 6, factor: 0.5 },
      mechanism: { name: 'sliding-window', options: { causalWindow: 4 } },
    },
    layer: (i) => ({
      sinks: `${i}.sinks`,
      window: 4,
      turn: undefined,
      slope: (h) => 0.5 * 2 ** ((-6 * (h + 1)) / 4),
    }),
  },
  'a scale, a cap before ALiBi, normed heads, and biases of queries, keys and values': {
    json: {
      bias: 'qkv',
      attention: { scale: 0.7, softcap: 1.5, queryKeyNorm: 'heads' },
      position: 'alibi',
    },
    layer: (i) => ({
      scale: 0.7,
      cap: 1.5,
      headNorms: { q: `${i}.qNorm`, k: `${i}.kNorm`, over: 'head' },
      turn: undefined,
      slope: (h) => 2 ** (-2 * (h + 1)),
    }),
  },
  'heads times a sigmoid of a further projection, with biases': {
    json: { bias: true, attention: { gate: true } },
    layer: (i) => ({ headGate: (h) => ({ name: `${i}.headGate`, row: h * D }) }),
  },
  'norms behind the branches and over all heads, a gated layer with biases': {
    json: {
      bias: 'out',
      norm: { kind: 'layer', place: 'branch' },
      attention: { queryKeyNorm: 'all' },
      feedForward: { hidden: 9, gated: true, activation: 'silu', bias: true },
    },
    norm: { mean: true },
    layer: (i) => ({
      norms: { attentionOut: `${i}.norm`, feedOut: `${i}.feedNorm` },
      headNorms: { q: `${i}.qNorm`, k: `${i}.kNorm`, over: 'all' },
      gate: { name: `${i}.gate` },
      activation: 'silu',
    }),
  },
  'norms on both sides, whose weights are what is added to 1, and some components that turn as in Llama 3.1': {
    json: {
      norm: { kind: 'rms', place: 'both', centred: true },
      position: {
        method: 'rope',
        rotary: 4,
        base: 30,
        scaling: { type: 'llama3', factor: 3, originalLength: 20 },
      },
    },
    norm: { plusOne: true },
    layer: (i) => ({
      norms: {
        attention: `${i}.norm`,
        attentionOut: `${i}.outNorm`,
        feed: `${i}.feedNorm`,
        feedOut: `${i}.feedOutNorm`,
      },
      turn: { angles: turned(4, 30).map((angle) => byWavelength(angle, 20, 3)) },
    }),
  },
  'branches beside each other with one norm without a bias': {
    json: { norm: { kind: 'layer', bias: false }, residual: { kind: 'plain', parallel: 'one' } },
    norm: { mean: true },
    layer: (i) => ({ norms: { attention: `${i}.norm` }, parallel: true }),
  },
  'branches beside each other with two norms, computed again in the backward pass': {
    json: { residual: { kind: 'checkpointed', every: 1, parallel: 'two' }, feedForward: { hidden: 9, bias: false } },
    layer: () => ({ parallel: true }),
  },
};

/** Logits, and the gradients of their weighted sum in every weight, by the names of the map. */
function evaluate(g: Graph, rule: DecoderRule, weights: Weights, tokens: readonly number[], d: Float32Array) {
  const oracle = new DecoderOracle(g, rule, weights);
  const { logits } = oracle.run(tokens);
  const names = [...weights.keys()];
  const found = g.gradients(
    [logits],
    [d],
    names.map((name) => oracle.matrix(name)!),
  );
  return { logits: logits.data, ...Object.fromEntries(names.map((name, i) => [name, found[i]!])) } as Record<
    string,
    Float64Array
  >;
}

describe('what published decoders have', () => {
  onWebAssemblyFirst((on) => {
    test.each(Object.entries(cases))('%s', async (name, { json, layer: own, norm }) => {
      const { device } = on;
      const model = createModel(readConfig({ ...base, ...json })) as Transformer;
      fill(model, device, 3);
      const theirs = scope(() => map.toTheirs(model.stateDict()));
      const weights = new Map<string, { shape: readonly number[]; data: ArrayLike<number> }>();
      for (const [key, x] of theirs) weights.set(key, { shape: x.shape, data: await x.data() });
      const rule: DecoderRule = {
        heads: H,
        groups: G,
        headDim: D,
        norm: { mean: false, epsilon: 1e-5, ...norm },
        table: 'table',
        layers: [0, 1].map((i) => ({ ...plain(i), ...own(i) })),
        finalNorm: 'finalNorm',
        head: 'table',
      };
      const tokens = Array.from({ length: L }, (_, i) => (5 * i + i * i) % V);
      const d = uniform(17, L * V);
      const exact = evaluate(new Graph(double), rule, weights, tokens, d);
      const orders = Array.from({ length: 12 }, (_, order) =>
        evaluate(new Graph(single, order), rule, weights, tokens, d),
      );
      const leaves = model.learnedTensors();
      const results = scope(() => {
        const logits = model.logits(tensor(Int32Array.from(tokens), [1, L], { device }));
        const found = gradients([logits], [...leaves.values()], [tensor(d, [1, L, V], { device })]);
        const named = new Map([...leaves.keys()].map((key, i) => [key, found[i]!] as const));
        return new Map<string, Tensor>([['logits', logits], ...map.toTheirs(named)]);
      });
      expect([...results.keys()].sort()).toEqual(Object.keys(exact).sort());
      for (const [key, want] of Object.entries(exact)) {
        const budget = Math.max(...orders.map((one) => budgetOf(want, one[key])));
        expectClose(`${name}: ${key}`, await results.get(key)!.data(), want, { budget });
      }
      await checkGreedy(model, [1, 2, 3], 7, device);
      disposeAll([results, theirs]);
      model.dispose();
    });
  });
});
