import { expect } from 'vitest';
import { uniform as stream } from '../../../src/core/random.js';
import type { Device } from '../../../src/devices/index.js';
import type { FeedForwardSizes } from '../../../src/nn/index.js';
import { feedForward } from '../../../src/nn/feed-forward/registry.js';
import type { Experts } from '../../../src/nn/feed-forward/experts/experts.js';
import { roomFor } from '../../../src/nn/feed-forward/experts/experts.js';
import { add } from '../../../src/ops/index.js';
import { disposeAll, gradients, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { double, single } from '../../oracles/arithmetic.js';
import {
  balance,
  decide,
  expert,
  mixture,
  weightsOf,
  zLoss,
  type Decided,
  type Routing,
} from '../../oracles/experts.js';
import { Graph, type Matrix } from '../../oracles/graph.js';
import { budgetOf, expectClose } from '../../support/compare.js';
import { uniform } from '../../support/random.js';
import { fill } from '../check.js';
import { activated, normalised } from '../formulas.js';

export const sizes: FeedForwardSizes = {
  features: 5,
  hidden: 6,
  activation: 'relu',
  gated: false,
  chunk: 0,
  length: 12,
  causal: true,
  share: 1,
};

export interface LayerCase {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly sizes?: Partial<FeedForwardSizes>;
  readonly B?: number;
  readonly lengths?: readonly number[];
  /** Tokens of each group as `[sequence, token]`; default those of each sequence. */
  readonly groups?: (B: number, L: number) => readonly (readonly (readonly [number, number])[])[];
  readonly train?: boolean;
}

/** What a layer of a name does of its definition, in the words of the oracle. */
const rules: Readonly<Record<string, Pick<Routing, 'active' | 'renormalise'> & { readonly counts: 'first' | 'all' }>> =
  {
    switch: { active: 1, renormalise: false, counts: 'first' },
    gshard: { active: 2, renormalise: true, counts: 'first' },
    glam: { active: 2, renormalise: true, counts: 'first' },
    'st-moe': { active: 2, renormalise: true, counts: 'first' },
    mixtral: { active: 2, renormalise: true, counts: 'all' },
    nllb: { active: 2, renormalise: 'kept', counts: 'first' },
  };

const NAMES = { balance: 'balance', zLoss: 'routerZ' } as const;

/** A layer against its formula: rows, both losses, and the gradients of all of them; returns what was decided, group by group. */
export async function checkExperts(device: Device, one: LayerCase): Promise<readonly Decided[]> {
  const { name, options, B = 2, lengths, train = false } = one;
  const all = { ...sizes, ...feedForward(name).definition.defaults, ...one.sizes };
  const { features: F, length: L } = all;
  const kind = feedForward(name);
  const own = kind.settle(all, options) as Readonly<Record<string, number>> & { readonly secondPolicy?: string };
  const layer = kind.create(all, options) as Experts;
  if (train) layer.train({ seed: 3, step: 4 });
  const parameters = fill(layer, device, 7);
  const x = uniform(5, B * L * F, -2, 2);
  const real = (b: number, t: number): boolean => t < (lengths?.[b] ?? L);
  const every = Array.from({ length: B }, (_, b) => Array.from({ length: L }, (_, t) => [b, t] as const));
  const together = name === 'mixtral' || name === 'nllb' || options['group'] === 'batch';
  const groups = (one.groups?.(B, L) ?? (together ? [every.flat()] : every)).map((group) =>
    group.filter(([b, t]) => real(b, t)),
  );
  const tokens = groups.reduce((sum, group) => sum + group.length, 0);
  const rule = {
    ...rules[name]!,
    ...('renormalise' in own && { renormalise: Boolean(own['renormalise']) }),
    ...('keptShares' in own && !own['keptShares'] && { renormalise: true }),
  };
  const active = own['active'] ?? rule.active;
  const d = uniform(99, B * L * F);
  const weights = { balance: own['balance']!, zLoss: own['zLoss']! };
  const step = { seed: 3, purpose: `route 4 ` };
  const passed = stream(step.seed, `${step.purpose} choice 1`, groups.length * (groups[0]?.length ?? 0));
  const evaluate = (g: Graph, known?: readonly Decided[]) => {
    const input = g.input(x, B * L, F);
    const matrices = new Map<string, Matrix>();
    for (const [key, { spec }] of layer.namedParameters()) {
      const columns = spec.shape.at(-1)!;
      const data = parameters.get(key)!;
      matrices.set(key, g.input(data, data.length / columns, columns));
    }
    const p = (key: string): Matrix => matrices.get(key)!;
    const where = (own as { readonly dense?: string }).dense ?? 'none';
    const dense = (y: Matrix): Matrix =>
      g.matmul(
        g.mul(activated(g, all.activation, g.matmul(y, p('dense.gate.weight'))), g.matmul(y, p('dense.up.weight'))),
        p('dense.down.weight'),
      );
    const between = (y: Matrix): Matrix => g.mul(normalised(g, y, false), p('denseNorm.weight'));
    const before = where === 'before' ? dense(input) : undefined;
    const given = before ? between(g.add(input, before)) : input;
    const found: Decided[] = [];
    const losses: Record<'balance' | 'zLoss', Matrix[]> = { balance: [], zLoss: [] };
    const outs = groups.map((group, i) => {
      const rows = g.gatherRows(
        given,
        group.map(([b, t]) => b * L + t),
      );
      const logits = g.matmul(rows, p('router'));
      const probabilities = g.softmax(logits);
      const factor = (train ? own['capacity'] : own['evaluationCapacity']) ?? Infinity;
      const decided =
        known?.[i] ??
        decide(probabilities, {
          experts: own['experts']!,
          active,
          renormalise: rule.renormalise,
          // a part of all tokens, padding too, or of the real ones of the group
          room:
            !train && 'evaluationShare' in own
              ? Math.ceil(own['evaluationShare'] * B * L)
              : factor === Infinity
                ? Infinity
                : roomFor(group.length, factor, own['experts']!, own['minCapacity']!),
          ...(train &&
            own.secondPolicy === 'random' && {
              passes: (t: number, weight: number) => passed[i * group.length + t]! * own['threshold']! < weight,
            }),
          ...(own.secondPolicy === 'threshold' && {
            passes: (_: number, weight: number) => weight > own['threshold']!,
          }),
          ...(own.secondPolicy === 'none' && { passes: () => false }),
        });
      found.push(decided);
      losses.balance.push(g.scale(balance(g, probabilities, decided, rule.counts), group.length / tokens));
      losses.zLoss.push(g.scale(zLoss(g, logits), group.length / tokens));
      const weightOf = (y: Matrix): Matrix => ('outputDropout' in own ? g.scale(y, 1 - own['outputDropout']) : y);
      return mixture(g, weightsOf(g, probabilities, decided, rule.renormalise), (e) =>
        weightOf(
          expert(
            g,
            rows,
            e,
            (key) => matrices.get(key),
            (y) => activated(g, all.activation, y),
          ),
        ),
      );
    });
    const joined = g.concatRows(outs);
    const place = new Map(groups.flat().map(([b, t], i) => [b * L + t, i]));
    let out = g.gatherRows(
      joined,
      Array.from({ length: B * L }, (_, i) => place.get(i) ?? -1),
    );
    if (before) out = g.add(out, before);
    if (where === 'after') out = g.add(out, dense(between(g.add(input, out))));
    if (matrices.has('shared.up.weight')) {
      const dense = g.matmul(
        g.mul(
          activated(g, all.activation, g.matmul(input, p('shared.gate.weight'))),
          g.matmul(input, p('shared.up.weight')),
        ),
        p('shared.down.weight'),
      );
      const gate = matrices.has('sharedGate.weight')
        ? g.map(
            g.matmul(input, p('sharedGate.weight')),
            (z, r) => r(1 / r(1 + r(Math.exp(-z)))),
            (z, r) => {
              const s = r(1 / r(1 + r(Math.exp(-z))));
              return r(s * r(1 - s));
            },
          )
        : undefined;
      out = g.add(out, gate ? g.mul(dense, gate) : dense);
    }
    const asked = (['balance', 'zLoss'] as const).filter((loss) => weights[loss] > 0);
    const terms = asked.map((loss) =>
      g.scale(
        losses[loss].reduce((a, b) => g.add(a, b)),
        weights[loss],
      ),
    );
    const back = g.gradients([out, ...terms], [d, ...terms.map(() => [1])], [input, ...matrices.values()]);
    const names = ['dx', ...matrices.keys()];
    return {
      decided: found,
      results: new Map<string, ArrayLike<number>>([
        ['out', out.data],
        ...terms.map((term, i) => [NAMES[asked[i]!], term.data] as const),
        ...back.map((gradient, i) => [names[i]!, gradient] as const),
      ]),
    };
  };
  const exact = evaluate(new Graph(double));
  expect(
    Math.min(...exact.decided.map(({ margin }) => margin)),
    'a choice that float32 could make otherwise',
  ).toBeGreaterThan(1e-5);
  const plain = Array.from({ length: 6 }, (_, order) => evaluate(new Graph(single, order), exact.decided));
  const got = scope(() => {
    const poison = tensor(
      Float32Array.from({ length: B * L }, (_, i) => (real(Math.floor(i / L), i % L) ? 0 : NaN)),
      [B, L, 1],
      { device },
    );
    const input = tensor(x, [B, L, F], { device, requiresGradient: true });
    const { stream: out, losses = {} } = layer.forward(lengths ? add(input, poison) : input, {
      losses: true,
      ...(lengths && { lengths }),
    });
    const terms = Object.values(losses);
    const leaves = [input, ...[...layer.namedParameters().values()].map(({ value }) => value)];
    const ones = terms.map(() => tensor([1], [], { device }));
    const back = gradients([out, ...terms], leaves, [tensor(d, out.shape, { device }), ...ones]);
    const names = ['dx', ...layer.namedParameters().keys()];
    return new Map<string, Tensor>([
      ['out', out],
      ...Object.entries(losses),
      ...back.map((gradient, i) => [names[i]!, gradient] as const),
    ]);
  });
  expect([...got.keys()].sort()).toEqual([...exact.results.keys()].sort());
  for (const [key, want] of exact.results) {
    const budget = Math.max(...plain.map(({ results }) => budgetOf(want, results.get(key))));
    expectClose(`${name} ${JSON.stringify(options)}: ${key}`, await got.get(key)!.data(), want, { budget });
  }
  disposeAll([...got.values()]);
  layer.dispose();
  return exact.decided;
}
