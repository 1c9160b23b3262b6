import type { Mechanism } from '../../../src/attention/index.js';
import { double, single } from '../../oracles/arithmetic.js';
import { Graph, type Matrix, type Oracle, type OracleProblem } from '../../oracles/graph.js';
import { softcap } from '../../oracles/rules.js';
import { budgetOf, expectClose, refinedBudget, type Refinable } from '../../support/compare.js';
import { isReal, makeData, type Data } from './data.js';
import type { Case, GateSpec, Options } from './spec.js';

/** All results of one call by name: out, dq, dk, dv, `d:name` of learned parameters and further projections. */
export type Results = Readonly<Record<string, ArrayLike<number>>>;

export const softcapAt = 2;

/** A matrix that an oracle asked for, and where its gradient goes. */
interface Slice {
  readonly matrix: Matrix;
  readonly result: string;
  readonly start: number;
}

/** A case for an oracle on one graph, and what the oracle asked for, so that its gradients are found. */
interface Bound {
  readonly problem: OracleProblem<Options>;
  readonly asked: Map<string, Slice>;
}

function bind(graph: Graph, one: Case, data: Data): Bound {
  const { shape, causal, scale = 1 / Math.sqrt(shape.D), lengths } = one;
  const { H, G, L, S, D, E } = shape;
  const asked = new Map<string, Slice>();
  const cut = (result: string, from: Float32Array, start: number, rows: number, columns: number): Matrix => {
    const key = `${result} ${start}`;
    const known = asked.get(key)?.matrix;
    const matrix = known ?? graph.input(from.subarray(start, start + rows * columns), rows, columns);
    asked.set(key, { matrix, result, start });
    return matrix;
  };
  const ofHead =
    (of: 'q' | 'k' | 'v', result = `d${of}`, from = data[of]) =>
    (b: number, h: number): Matrix => {
      const [rows, columns] = [of === 'q' ? L : S, of === 'v' ? E : D];
      const head = of === 'q' ? b * H + h : b * G + Math.floor((h * G) / H);
      return cut(result, from, head * rows * columns, rows, columns);
    };
  const plain = { q: ofHead('q'), k: ofHead('k'), v: ofHead('v') };
  const problem: OracleProblem<Options> = {
    ...shape,
    ...plain,
    causal,
    scale,
    options: data.options,
    seed: data.seed,
    ...(lengths && { lengths }),
    score: one.softcap === true ? [softcap(softcapAt)] : [],
    allowed: (b, _, i, j) => (!causal || j <= i + S - L) && (!lengths || j < lengths[b]!),
    input: (name, b, h) => {
      const own = data.inputs[name];
      if (own) return ofHead(own.of, `d:${name}`, own.data)(b, h);
      return plain[known('further projection', data.standIns, name)](b, h);
    },
    parameter: (name, ...leading) => {
      const { shape: sizes, data: numbers } = known('parameter', data.parameters, name);
      const lead = Math.max(0, sizes.length - 2);
      if (leading.length !== lead) throw new Error(`oracle: ${name} [${sizes.join()}] wants ${lead} leading indices`);
      const [rows, columns] = [sizes.length > 1 ? sizes.at(-2)! : 1, sizes.at(-1) ?? 1];
      const block = leading.reduce((at, index, axis) => at * sizes[axis]! + index, 0);
      return cut(`d:${name}`, numbers, block * rows * columns, rows, columns);
    },
  };
  return { problem, asked };
}

function known<T>(what: string, all: Readonly<Record<string, T>>, name: string): T {
  const found = all[name];
  if (found === undefined)
    throw new Error(`oracle: no ${what} ${name}; there are ${Object.keys(all).join() || 'none'}`);
  return found;
}

/** Runs an oracle on a case, forward and backward. */
export function evaluate(oracle: Oracle<Options>, one: Case, data: Data, graph: Graph): Results {
  const { L, E } = one.shape;
  const { problem, asked } = bind(graph, one, data);
  const heads = oracle(graph, problem);
  const out = joined(heads, one, E);
  const size = L * E;
  const cotangents = heads.map((_, n) => Float64Array.from(data.dout.subarray(n * size, (n + 1) * size)));
  const results: Record<string, Float64Array> = {
    out,
    dq: new Float64Array(data.q.length),
    dk: new Float64Array(data.k.length),
    dv: new Float64Array(data.v.length),
  };
  for (const [name, { learned, data: own }] of Object.entries(data.parameters)) {
    if (learned) results[`d:${name}`] = new Float64Array(own.length);
  }
  for (const [name, { data: own }] of Object.entries(data.inputs)) results[`d:${name}`] = new Float64Array(own.length);
  const slices = [...asked.values()];
  const gradients = graph.gradients(
    heads,
    cotangents,
    slices.map(({ matrix }) => matrix),
  );
  // random features and hash planes have no gradient
  slices.forEach(({ result, start }, n) => results[result]?.set(gradients[n]!, start));
  return results;
}

/** The values of an oracle whose heads are `[L × columns]`, without gradients. */
export const valuesOf = (
  oracle: Oracle<Options>,
  one: Case,
  data: Data,
  graph: Graph,
  columns = one.shape.E,
): Float64Array => joined(oracle(graph, bind(graph, one, data).problem), one, columns);

/** The heads in one array, 0 for queries that are padding. */
function joined(heads: readonly Matrix[], one: Case, columns: number): Float64Array {
  const { B, H, L } = one.shape;
  const wrong = heads.length !== B * H || heads.some((head) => head.rows !== L || head.columns !== columns);
  if (wrong) throw new Error(`oracle: wants ${B * H} matrices [${L} × ${columns}]; got ${heads.length}`);
  const all = new Float64Array(B * H * L * columns);
  heads.forEach((head, n) => all.set(head.data, n * L * columns));
  return all.map((x, at) => (isReal(one, at, columns) ? x : 0));
}

/** Orders of summation for the error of plain float32 code: one, and at most, where a result does not keep the budget. */
const mostOrders = 64;

/**
 * What the oracle says of a case, and the budget of each result: twice the largest error of plain float32 code over several
 * orders of summation, and rounding. One order comes first, as budgets only grow with them.
 */
export class Expected implements Refinable {
  readonly exact: Results;
  readonly budgets: Record<string, number> = {};
  orders = 0;

  constructor(
    readonly one: Case,
    readonly data: Data,
    readonly oracle: Oracle<Options>,
    exact = evaluate(oracle, one, data, new Graph(double)),
  ) {
    this.exact = exact;
    this.#run(1);
  }

  refine(): boolean {
    if (this.orders >= mostOrders) return false;
    this.#run(Math.min(mostOrders, 4 * this.orders));
    return true;
  }

  #run(until: number): void {
    for (; this.orders < until; this.orders++) {
      const plain = evaluate(this.oracle, this.one, this.data, new Graph(single, this.orders));
      for (const [name, want] of Object.entries(this.exact)) {
        this.budgets[name] = Math.max(this.budgets[name] ?? 0, budgetOf(want, plain[name]));
      }
    }
  }
}

/** Compares a result, or a part of it, with the oracle's. @throws where it is off by more than the budget. */
export function expectResult(
  who: string,
  name: string,
  got: ArrayLike<number>,
  expected: Expected,
  part: (x: ArrayLike<number>) => ArrayLike<number> = (x) => x,
): void {
  const want = part(expected.exact[name]!);
  expectClose(`${who}: ${name}`, got, want, {
    budget: refinedBudget(name, got, want, expected),
    seed: expected.data.seed,
  });
}

/** @throws where a result is missing or off by more than its budget. */
export function expectResults(who: string, got: Results, expected: Expected): void {
  for (const name of Object.keys(expected.exact)) {
    const numbers = got[name];
    if (numbers === undefined) throw new Error(`${who}: no ${name} was computed`);
    expectResult(who, name, numbers, expected);
  }
}

/** Data and oracle's answers by case, computed once for both devices. */
export class Answers {
  readonly #known = new Map<string, Expected>();

  constructor(
    readonly mechanism: Mechanism,
    readonly spec: GateSpec,
  ) {}

  data(one: Case, seed?: number): Data {
    return makeData(this.mechanism, this.spec, one, seed);
  }

  of(one: Case, seed?: number): Expected {
    const key = `${JSON.stringify(one)} ${seed ?? ''} ${String(one.parameters)}`;
    const known = this.#known.get(key) ?? new Expected(one, this.data(one, seed), this.spec.oracle);
    this.#known.set(key, known);
    return known;
  }
}
