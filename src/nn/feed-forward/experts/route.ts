import { constant, select, variable, type F32, type I32 } from '../../../codegen/expression/index.js';
import { uniform } from '../../../core/random.js';
import type { StepSeed } from '../../../attention/index.js';
import {
  add,
  argmax,
  argsort,
  cast,
  concat,
  cumulativeSum,
  div,
  less,
  map,
  mul,
  reshape,
  searchSorted,
  slice,
  softmax,
  sort,
  sum,
  takeAlong,
  topK,
} from '../../../ops/index.js';
import { decided, tensor, type Tensor } from '../../../tensor/index.js';
import type { Groups } from './groups.js';

/** Which experts a token goes to. */
export interface RoutePolicy {
  readonly experts: number;
  /** Experts of a token, those of largest probability. */
  readonly active: number;
  /** Whether the probabilities of these are divided by their sum; `'kept'`: those of experts that had room, by the sum of these. */
  readonly renormalise: boolean | 'kept';
  /** Tokens that an expert takes, of so many real ones of a group of so many; undefined: all. */
  readonly capacity: ((tokens: number, all: number) => number) | undefined;
  /** Which choices after the first are taken: those of weight above the threshold, or with probability weight/threshold. */
  readonly later: { readonly policy: LaterPolicy; readonly threshold: number };
}
export const laterPolicies = ['random', 'all', 'threshold', 'none'] as const;
export type LaterPolicy = (typeof laterPolicies)[number];

/** What was decided for tokens in groups `[G, S]` and their k choices. No gradient flows through a decision. */
export interface Route {
  /** `[G, S, E]` */
  readonly probabilities: Tensor;
  /** The experts of each token, `[G, S, k]`. */
  readonly indices: Tensor;
  /** Of each choice, 0 where it was dropped, `[G·S, k]`. */
  readonly weights: Tensor;
  /** Tokens that chose an expert first, and at all, whether or not there was room: `[G, E]`. */
  readonly first: Tensor;
  readonly chosen: Tensor;
  /** Choices that an expert took, `[E]`. */
  readonly taken: Tensor;
  readonly order: Order;
}

/** Choices sorted by their expert; those that none took come last. */
export interface Order {
  /** The token of each, `[G·S·k]`. */
  readonly tokens: Tensor;
  /** Where each choice of a token stands, `[G·S, k]`. */
  readonly places: Tensor;
  /** Where those of each expert end, `[E]`. */
  readonly ends: Tensor;
}

/** So that no choice is divided by 0, as in Mesh TensorFlow. */
const TINY = 1e-9;

/** Tokens and their experts, by router logits `[G, S, E]`, f32. */
export function route(logits: Tensor, groups: Groups, policy: RoutePolicy, training: StepSeed | undefined): Route {
  const probabilities = softmax(logits);
  const [G, S, E] = logits.shape as [number, number, number];
  const k = policy.active;
  const [indices, kept, first, chosen, taken, tokens, places, ends] = decided(() => {
    const own = k === 1 ? argmax(probabilities, { axis: -1, keepDims: true }) : topK(probabilities, k).indices;
    const found = queued(own, gatesOf(probabilities, own, policy), groups, policy, training);
    return [own, found.kept, found.first, found.chosen, found.taken, ...orderOf(own, found.kept, E)];
  }) as unknown as readonly [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
  const gates = mul(gatesOf(probabilities, indices, policy), kept);
  const weights = reshape(policy.renormalise === 'kept' ? shares(gates) : gates, [G * S, k]);
  return { probabilities, indices, weights, first, chosen, taken, order: { tokens, places, ends } };
}

/** What the output of each chosen expert is multiplied by, before any is dropped: `[G, S, k]`. */
function gatesOf(probabilities: Tensor, indices: Tensor, { renormalise }: RoutePolicy): Tensor {
  const gates = takeAlong(probabilities, indices);
  return renormalise === true ? shares(gates) : gates;
}

/** Each divided by the sum of those of its token. */
const shares = (gates: Tensor): Tensor => div(gates, add(sum(gates, { axes: -1, keepDims: true }), TINY));

const [expert, number, ok] = [variable('x0', 'f32'), variable('x1', 'f32'), variable('x2', 'f32')];
const isOne = select(expert.eq(number), ok, 0);

/** Where each choice stands in the queue of its expert: all first choices before all second ones, tokens in their order. */
function queued(
  indices: Tensor,
  gates: Tensor,
  groups: Groups,
  { experts: E, capacity, later }: RoutePolicy,
  training: StepSeed | undefined,
): Readonly<Record<'kept' | 'first' | 'chosen' | 'taken', Tensor>> {
  const { device } = indices;
  const [G, S, k] = indices.shape as [number, number, number];
  const numbers = tensor(
    Float32Array.from({ length: E }, (_, i) => i),
    [E],
    { device },
  );
  const room = capacity && groups.each(indices, (count) => capacity(count, groups.size));
  const real = groups.real(indices);
  const ones = real ? reshape(real, [G, S, 1]) : tensor([1], [1, 1, 1], { device });
  const choice = (of: Tensor, j: number): Tensor => slice(of, { axis: 2, start: j, end: j + 1 });
  let [before, all]: (Tensor | undefined)[] = [];
  const firsts: Tensor[] = [];
  const kept: Tensor[] = [];
  for (let j = 0; j < k; j++) {
    const chosen = map(isOne, choice(indices, j), numbers, ones); // [G, S, E]
    firsts.push(sum(chosen, { axes: 1 }));
    const passes = j === 0 ? undefined : passing(choice(gates, j), later, training, j);
    const wanted = passes ? mul(chosen, passes) : chosen;
    let fits = wanted;
    if (room !== undefined) {
      const places = cumulativeSum(wanted, { axis: 1, exclusive: true });
      fits = mul(wanted, cast(less(before ? add(places, before) : places, room), 'f32'));
    }
    const counts = sum(fits, { axes: 1, keepDims: true }); // [G, 1, E]
    before = before ? add(before, counts) : counts;
    all = all ? add(all, firsts[j]!) : firsts[j]!;
    kept.push(sum(fits, { axes: -1, keepDims: true }));
  }
  return {
    kept: kept.length === 1 ? kept[0]! : concat(kept, { axis: 2 }),
    first: firsts[0]!,
    chosen: all!,
    taken: sum(before!, { axes: [0, 1] }),
  };
}

/** 1 where choice j is taken if there is room; undefined: everywhere. */
function passing(
  gate: Tensor,
  { policy, threshold }: RoutePolicy['later'],
  training: StepSeed | undefined,
  j: number,
): Tensor | undefined {
  switch (policy) {
    case 'all':
      return undefined;
    case 'none':
      return mul(gate, 0);
    case 'threshold':
      return map((g) => select(g.gt(threshold), constant(1, 'f32'), 0), gate);
    case 'random': {
      // without a step there is nothing to draw from
      if (training === undefined) return undefined;
      const drawn = uniform(training.seed, `${training.purpose} choice ${j}`, gate.size);
      const u = tensor(drawn, gate.shape, { device: gate.device });
      return map((g, x) => select(x.mul(threshold).lt(g), constant(1, 'f32'), 0), gate, u);
    }
    default:
      return policy satisfies never;
  }
}

const index: I32 = variable('x0', 'i32');
const isKept: F32 = variable('x1', 'f32');

/** Choices `[G, S, k]` sorted by expert. */
function orderOf(indices: Tensor, kept: Tensor, E: number): readonly [tokens: Tensor, places: Tensor, ends: Tensor] {
  const { device, size } = indices;
  const k = indices.shape[2]!;
  const keys = map(select(isKept.gt(0), index, constant(E, 'i32')), indices, kept);
  const { values, indices: order } = sort(reshape(keys, [size]));
  const owners = tensor(
    Int32Array.from({ length: size }, (_, i) => Math.floor(i / k)),
    [size],
    { device },
  );
  const numbers = tensor(
    Float32Array.from({ length: E }, (_, i) => i),
    [E],
    { device },
  );
  return [takeAlong(owners, order), reshape(argsort(order), [size / k, k]), searchSorted(cast(values, 'f32'), numbers)];
}
