import { OptionError } from '../../core/errors.js';
import { topological, type Expression, type Op, type Table, type TypedArray } from './node.js';

type Inner = Exclude<Op, 'constant' | 'variable' | 'parameter' | 'table'>;
const limit = 2 ** 31;

/** erf in float64: `2/√π · e^(−x²) · Σ 2ⁿx^(2n+1)/(2n+1)!!`, whose terms are all positive, so nothing cancels. */
export function erf(x: number): number {
  if (!(Math.abs(x) < 6)) return Number.isNaN(x) ? x : Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** What every operation means, in float64. The kernels are tested against this table. */
export const meaning: { readonly [O in Inner]: (a: number, b: number, c: number) => number } = {
  neg: (a) => -a,
  abs: Math.abs,
  sqrt: Math.sqrt,
  exp: Math.exp,
  log: Math.log,
  tanh: Math.tanh,
  erf,
  sin: Math.sin,
  cos: Math.cos,
  acos: Math.acos,
  floor: Math.floor,
  ceil: Math.ceil,
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  floorDiv: (a, b) => (b === 0 ? 0 : Math.floor(a / b)),
  mod: (a, b) => (b === 0 ? 0 : a - b * Math.floor(a / b)),
  // as in the kernels: a NaN on either side is the result; of the two zeros, not Math.min's but the first
  min: (a, b) => (Number.isNaN(b) || b < a ? b : a),
  max: (a, b) => (Number.isNaN(b) || a < b ? b : a),
  pow: Math.pow,
  atan2: Math.atan2,
  lt: (a, b) => Number(a < b),
  le: (a, b) => Number(a <= b),
  gt: (a, b) => Number(a > b),
  ge: (a, b) => Number(a >= b),
  eq: (a, b) => Number(a === b),
  ne: (a, b) => Number(a !== b),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  not: (a) => 1 - a,
  select: (a, b, c) => (a === 0 ? c : b),
  // there is no integer −0
  toF32: (a) => a + 0,
  toI32: (a) => (Number.isNaN(a) ? 0 : Math.min(limit - 1, Math.max(-limit, Math.trunc(a) + 0))),
};

export interface EvaluateOptions {
  /** The numbers of lifted parameters, by slot. */
  readonly parameters?: readonly number[];
  /** Numbers of tables whose source is not host data. */
  readonly tables?: ReadonlyMap<Table, ArrayLike<number>>;
}

/** The host numbers of a table, or undefined when it lives on a device. */
export function hostData(table: Table): TypedArray | undefined {
  const { source } = table;
  return source instanceof Float32Array || source instanceof Int32Array || source instanceof Uint8Array
    ? source
    : undefined;
}

type Step = (registers: Float64Array) => void;

/**
 * The expression as a function of the named variables, in float64 (booleans as 0 and 1). No source text is generated,
 * so it runs where `new Function` is forbidden.
 *
 * @throws OptionError for a variable, parameter or device table without a value.
 */
export function compile(
  expression: Expression,
  names: readonly string[],
  options: EvaluateOptions = {},
): (...values: number[]) => number {
  const order = topological(expression);
  const registers = new Float64Array(order.length);
  const slot = new Map(order.map((e, i) => [e, i]));
  const inputs = names.map(() => [] as number[]);
  const steps: Step[] = [];
  order.forEach((e, out) => {
    if (e.op === 'constant') registers[out] = e.value!;
    else if (e.op === 'parameter') registers[out] = given(options.parameters?.[e.value!], `parameter $${e.value}`);
    else if (e.op === 'variable') given(inputs[names.indexOf(e.name!)], `variable "${e.name}"`).push(out);
    else if (e.op === 'table') steps.push(readStep(e, options, (arg) => slot.get(arg)!, out));
    else {
      const [a = 0, b = 0, c = 0] = e.args.map((arg) => slot.get(arg)!);
      const apply = meaning[e.op];
      steps.push((r) => {
        r[out] = apply(r[a]!, r[b]!, r[c]!);
      });
    }
  });
  return (...values) => {
    inputs.forEach((slots, i) => {
      for (const s of slots) registers[s] = values[i]!;
    });
    for (const step of steps) step(registers);
    return registers[order.length - 1]!;
  };
}

/** The value at one point; see `compile`. */
export function evaluate(
  expression: Expression,
  env: Readonly<Record<string, number>>,
  options?: EvaluateOptions,
): number {
  return compile(expression, Object.keys(env), options)(...Object.values(env));
}

function readStep(e: Expression, options: EvaluateOptions, slot: (arg: Expression) => number, out: number): Step {
  const table = e.table!;
  const data: ArrayLike<number> = given(options.tables?.get(table) ?? hostData(table), `device table "${table.name}"`);
  const indices = e.args.map(slot);
  return (r) => {
    let flat = 0;
    for (let dim = 0; dim < indices.length; dim++) {
      const index = r[indices[dim]!]!;
      const size = table.shape[dim]!;
      if (!(index >= 0 && index < size)) {
        r[out] = 0;
        return;
      }
      flat = flat * size + index;
    }
    r[out] = data[flat]!;
  };
}

function given<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new OptionError(`evaluate: no value was given for ${what}.`);
  return value;
}
