import { double, type Arithmetic } from './arithmetic.js';

/** Where a pair is: batch, query head, query row and key, all counted from 0. Masks and scores are plain functions of it. */
export interface Pair {
  readonly b: number;
  readonly h: number;
  readonly i: number;
  readonly j: number;
}

/** One change of the score. `r` rounds what one operation gives; in float64 it is the identity. */
export interface ScoreStep {
  value(score: number, at: Pair, r: (x: number) => number): number;
  /** ∂value/∂score. */
  slope(score: number, at: Pair, r: (x: number) => number): number;
  /** A captured table this step reads an entry of: its gradient is the sum over the pairs of the scores' times the factor. */
  readonly table?: {
    readonly size: number;
    /** −1 for none. */
    index(at: Pair): number;
    /** ∂value/∂entry; default 1. */
    factor?(score: number, at: Pair, r: (x: number) => number): number;
  };
}

/** `q [B,H,L,D]`, `k [B,G,S,D]`, `v [B,G,S,E]`; G divides H, and query head h reads key head ⌊h·G/H⌋. */
export interface AttendProblem {
  readonly B: number;
  readonly H: number;
  readonly G: number;
  readonly L: number;
  readonly S: number;
  readonly D: number;
  readonly E: number;
  readonly q: ArrayLike<number>;
  readonly k: ArrayLike<number>;
  readonly v: ArrayLike<number>;
  /** Default 1/√D. */
  readonly scale?: number;
  /** Default: every pair. */
  readonly allowed?: (at: Pair) => boolean;
  /** Applied in order to scale·q·k. */
  readonly score?: readonly ScoreStep[];
  /** What dropout multiplies a weight by, 0 or 1/(1 − rate); default 1. */
  readonly keep?: (at: Pair) => number;
}

type Doubles = AttendProblem & Readonly<Record<'q' | 'k' | 'v', Float64Array>>;

export interface Cotangents {
  readonly dout: ArrayLike<number>;
  readonly dlogsumexp?: ArrayLike<number>;
}

export interface AttendResult {
  readonly out: Float64Array;
  readonly logsumexp: Float64Array;
}

export interface AttendGradients {
  readonly dq: Float64Array;
  readonly dk: Float64Array;
  readonly dv: Float64Array;
  /** One per step of `score` that has a table, in order. */
  readonly dtables: readonly Float64Array[];
}

/** The weights of one row before dropout, for the keys it may see. */
interface Row {
  readonly keys: readonly number[];
  /** Scores before each step, and after the last. */
  readonly stages: readonly (readonly number[])[];
  readonly weights: readonly number[];
  readonly logsumexp: number;
}

// one kind of array throughout, as the inner loops are ten times slower on a mixture
const doubles = (x: ArrayLike<number>): Float64Array => (x instanceof Float64Array ? x : Float64Array.from(x));
const inDoubles = (p: AttendProblem): Doubles => ({ ...p, q: doubles(p.q), k: doubles(p.k), v: doubles(p.v) });

function row(p: Doubles, b: number, h: number, i: number, { round, dot }: Arithmetic): Row {
  const { H, G, L, S, D, scale = 1 / Math.sqrt(D), allowed, score = [] } = p;
  const keyHead = b * G + Math.floor((h * G) / H);
  const query = (b * H + h) * L + i;
  const keys: number[] = [];
  for (let j = 0; j < S; j++) if (allowed === undefined || allowed({ b, h, i, j })) keys.push(j);
  const raw = keys.map((j) => round(round(scale) * dot(p.q, query * D, p.k, (keyHead * S + j) * D, D)));
  const stages = [raw];
  for (const step of score) {
    const before = stages.at(-1)!;
    stages.push(keys.map((j, n) => round(step.value(before[n]!, { b, h, i, j }, round))));
  }
  const scores = stages.at(-1)!;
  let top = -Infinity;
  for (const s of scores) top = Math.max(top, s);
  const powers = scores.map((s) => round(Math.exp(round(s - top))));
  let sum = 0;
  for (const power of powers) sum = round(sum + power);
  const logsumexp = keys.length === 0 ? -Infinity : round(top + round(Math.log(sum)));
  return { keys, stages, weights: powers.map((power) => round(power / sum)), logsumexp };
}

/** `softmax over the allowed keys of steps(scale·q·k), times v`; a row that may see nothing gives 0 and −∞. */
export function attend(problem: AttendProblem, arithmetic: Arithmetic = double): AttendResult {
  const p = inDoubles(problem);
  const { round, axpy } = arithmetic;
  const { B, H, G, L, S, E } = p;
  const out = new Float64Array(B * H * L * E);
  const logsumexp = new Float64Array(B * H * L);
  forEachRow(p, (b, h, i) => {
    const x = row(p, b, h, i, arithmetic);
    const query = (b * H + h) * L + i;
    const keyHead = b * G + Math.floor((h * G) / H);
    logsumexp[query] = x.logsumexp;
    x.keys.forEach((j, n) => {
      const weight = round(x.weights[n]! * round(p.keep?.({ b, h, i, j }) ?? 1));
      axpy(weight, p.v, (keyHead * S + j) * E, out, query * E, E);
    });
  });
  return { out, logsumexp };
}

/**
 * ⟨dout, ∂out⟩ + ⟨dlogsumexp, ∂logsumexp⟩, from the definition: with P the weights and M what dropout multiplies them by,
 * dP = M·(dout·v), dscore = P·(dP − (Σ P·dP − dlogsumexp)), then back through the steps, last first.
 *
 * With `saved`, as code that keeps no weights computes it (Dao 2023, arXiv:2307.08691, section 3): P = exp(score − logsumexp)
 * and Σ P·dP = dout·out. In float64 that is the same; in float32 it is what such code can be held to.
 */
export function attendGradients(
  problem: AttendProblem,
  cotangents: Cotangents,
  arithmetic: Arithmetic = double,
  saved?: AttendResult,
): AttendGradients {
  const p = inDoubles(problem);
  const dout = doubles(cotangents.dout);
  const { round, dot, axpy } = arithmetic;
  const { B, H, G, L, S, D, E, scale = 1 / Math.sqrt(D) } = p;
  const steps = p.score ?? [];
  const [dq, dk, dv] = [
    new Float64Array(B * H * L * D),
    new Float64Array(B * G * S * D),
    new Float64Array(B * G * S * E),
  ];
  const tables = steps.map(({ table }) => new Float64Array(table?.size ?? 0));
  forEachRow(p, (b, h, i) => {
    const x = row(p, b, h, i, arithmetic);
    const query = (b * H + h) * L + i;
    const keyHead = b * G + Math.floor((h * G) / H);
    const keep = x.keys.map((j) => round(p.keep?.({ b, h, i, j }) ?? 1));
    const dweights = x.keys.map((j, n) => round(keep[n]! * dot(dout, query * E, p.v, (keyHead * S + j) * E, E)));
    const weights = saved
      ? x.stages.at(-1)!.map((score) => round(Math.exp(round(score - saved.logsumexp[query]!))))
      : x.weights;
    const mean = saved
      ? dot(dout, query * E, saved.out, query * E, E)
      : dweights.reduce((sum, dweight, n) => round(sum + round(weights[n]! * dweight)), 0);
    const delta = round(mean - (cotangents.dlogsumexp?.[query] ?? 0));
    x.keys.forEach((j, n) => {
      const at = { b, h, i, j };
      const weight = weights[n]!;
      let gradient = round(weight * round(dweights[n]! - delta));
      for (let step = steps.length - 1; step >= 0; step--) {
        const change = steps[step]!;
        const { table } = change;
        if (table !== undefined) {
          const entry = table.index(at);
          const factor = table.factor?.(x.stages[step]![n]!, at, round) ?? 1;
          if (entry >= 0) tables[step]![entry] = round(tables[step]![entry]! + round(gradient * factor));
        }
        gradient = round(gradient * round(change.slope(x.stages[step]![n]!, at, round)));
      }
      const scaled = round(gradient * round(scale));
      axpy(scaled, p.k, (keyHead * S + j) * D, dq, query * D, D);
      axpy(scaled, p.q, query * D, dk, (keyHead * S + j) * D, D);
      axpy(round(weight * keep[n]!), dout, query * E, dv, (keyHead * S + j) * E, E);
    });
  });
  return { dq, dk, dv, dtables: tables.filter((_, step) => steps[step]!.table !== undefined) };
}

function forEachRow({ B, H, L }: AttendProblem, body: (b: number, h: number, i: number) => void): void {
  for (let b = 0; b < B; b++) for (let h = 0; h < H; h++) for (let i = 0; i < L; i++) body(b, h, i);
}
