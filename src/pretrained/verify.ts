import { purposeWords } from '../core/random.js';
import { checkValue, checkValues, notNegative } from '../core/requirements.js';
import { sameShape } from '../core/shape.js';
import { disposeAll, writable } from '../tensor/index.js';
import { realRows, type Golden } from './golden.js';
import { someInputs, type HostArray } from './inputs.js';
import { somePretrained, type Pretrained } from './loaded.js';
import { runPretrained } from './run.js';

/** How far one result is from what it must be, at real tokens. */
export interface VerifiedRow {
  readonly name: string;
  readonly shape: readonly number[];
  /** Numbers that were compared. */
  readonly count: number;
  /** Largest difference; null where a number that must be finite is not, or the shape is another. */
  readonly error: number | null;
  readonly budget: number;
  /** Largest number that it must hold. */
  readonly largest: number;
  /** What plain float32 code is expected to be off by. */
  readonly plain: number;
  readonly within: boolean;
  /** Why there is no error. */
  readonly reason?: string;
}

export interface Verified {
  readonly rows: readonly VerifiedRow[];
  /** Attention weights of the golden file: no layer here forms them, so they are not compared; what they make is. */
  readonly weights: readonly string[];
  readonly within: boolean;
}

export interface VerifyOptions {
  /** What plain float32 code is off by, where that is known; else it is measured: see `verifyPretrained`. */
  readonly plain?: number;
}

const ε = 2 ** -24;
const aMap = {
  must: 'a Map of { data, shape } by name',
  holds: (value: unknown) =>
    value instanceof Map && someInputs.holds(Object.fromEntries(value as Map<string, unknown>)),
};

const ATTENTION_WEIGHTS = /^(?:\w+_)?attentions\.\d+$/;

/**
 * Runs a model on the inputs of a golden file and compares every output at real tokens. A result is within its budget if no number is
 * off by more than `2·(plain + ε·max|out|)`, where `plain` is what plain float32 code is off by. Nobody has run such code on this
 * model, so it is measured: the last bit of about half of all weights is turned over, the model run again, and the largest change of
 * a result is its `plain`. That is what a rounding of each number on the way does, and no more.
 */
export async function verifyPretrained(
  loaded: Pretrained,
  golden: Golden,
  options: VerifyOptions = {},
): Promise<Verified> {
  checkValue('verifyPretrained', 'loaded', loaded, somePretrained);
  checkValues('verifyPretrained: golden', golden, { inputs: someInputs, outputs: aMap, draws: aMap }, [
    'inputs',
    'outputs',
    'draws',
  ]);
  checkValues('verifyPretrained', options, { plain: notNegative });
  const { plain } = options;
  const got = await resultsOf(loaded, golden);
  let moved = got;
  if (plain === undefined) {
    await flipLastBits(loaded);
    try {
      moved = await resultsOf(loaded, golden);
    } finally {
      await flipLastBits(loaded);
    }
  }
  const weights = [...golden.outputs.keys()].filter((name) => ATTENTION_WEIGHTS.test(name) && !got.has(name));
  const outputs = [...golden.outputs].filter(([name]) => !weights.includes(name));
  const rows = outputs.map(([name, want]): VerifiedRow => {
    const real = realRows(name, want, golden.inputs, loaded.family.pooled);
    const oracle = real(want);
    const largest = oracle.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0);
    const row = { name, shape: want.shape, count: oracle.length, largest };
    const own = got.get(name);
    if (own === undefined || !fits(own.shape, want.shape)) {
      const reason = own === undefined ? 'the model does not give it' : `it is [${own.shape.join(',')}]`;
      return { ...row, error: null, budget: 0, plain: 0, within: false, reason };
    }
    const numbers = real(own);
    const response = plain ?? largestDifference(real(moved.get(name)!), numbers) ?? 0;
    const budget = 2 * (response + ε * largest);
    const error = largestDifference(numbers, oracle);
    const reason = error === undefined ? { reason: 'a number that must be finite is not, or the other way round' } : {};
    return {
      ...row,
      error: error ?? null,
      budget,
      plain: response,
      within: error !== undefined && error <= budget,
      ...reason,
    };
  });
  return { rows, weights, within: rows.every(({ within }) => within) };
}

/** Equal shapes, or more rows than there are tokens on either side. */
const fits = (a: readonly number[], b: readonly number[]): boolean =>
  sameShape(a, b) || (a.length === b.length && a.length >= 3 && a.every((x, i) => i === 1 || x === b[i]));

async function resultsOf(loaded: Pretrained, { inputs, draws }: Golden): Promise<ReadonlyMap<string, HostArray>> {
  const outputs = runPretrained(loaded, inputs, { draws: Object.fromEntries(draws) });
  try {
    const all = new Map<string, HostArray>();
    for (const [name, x] of Object.entries(outputs)) all.set(name, { data: await x.data(), shape: x.shape });
    return all;
  } finally {
    disposeAll(outputs);
  }
}

/** Undefined where one is a number and the other none. */
function largestDifference(a: readonly number[], b: readonly number[]): number | undefined {
  if (a.length !== b.length) return undefined;
  let most = 0;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    if (Object.is(x, y)) continue;
    const difference = Math.abs(x - y);
    if (!(difference < Infinity)) return undefined;
    most = Math.max(most, difference);
  }
  return most;
}

/** Turns the last bit of about half of all weights over; the second time they are as they were. */
async function flipLastBits({ model }: Pretrained): Promise<void> {
  for (const [name, value] of model.stateDict()) {
    const bits = Uint32Array.from(new Uint32Array(Float32Array.from(await value.data()).buffer));
    const [salt] = purposeWords(`last bit of ${name}`);
    for (let i = 0; i < bits.length; i++) bits[i]! ^= Math.imul(i ^ salt, 0x9e3779b1) >>> 31;
    value.device.write(writable(value), bits);
  }
}
