import type { Numbers } from '../support/compare.js';
import { exact, type Round } from '../support/operation.js';

export interface LinearProblem {
  readonly B: number;
  readonly H: number;
  readonly G: number;
  readonly L: number;
  readonly S: number;
  readonly M: number;
  readonly E: number;
  readonly causal?: boolean;
  readonly normalise?: boolean;
  readonly eps?: number;
  readonly lengths?: readonly number[];
}

/** In the order of the inputs; a state has a last column for the sum of the keys if normalised. */
export interface LinearArrays {
  readonly q: Numbers;
  readonly k: Numbers;
  readonly v: Numbers;
  readonly initial?: Numbers | undefined;
  readonly decay?: Numbers | undefined;
}

/** A head of a batch: values with a 1 behind them if normalised, and what a weight has decayed to. */
function* heads(p: LinearProblem, x: LinearArrays, r: Round) {
  const { B, H, G, L, S, M, E, normalise = true, causal = false } = p;
  const W = normalise ? E + 1 : E;
  for (let b = 0; b < B; b++) {
    const length = p.lengths?.[b] ?? S;
    for (let h = 0; h < H; h++) {
      const head = b * H + h;
      const shared = b * G + Math.floor((h * G) / H);
      // level[t + 1] = g_0 + … + g_t
      const level = new Float64Array(S + 1);
      for (let t = 0; t < S; t++) level[t + 1] = r(level[t]! + (t < length ? (x.decay?.[head * S + t] ?? 0) : 0));
      const at = (i: number): number => (causal ? Math.max(0, i + S - L + 1) : S);
      yield {
        head,
        level,
        length,
        /** How far the sums of row i reach, and those of the final state. */
        reach: (i: number): number => at(i),
        q: (i: number, m: number): number => x.q[(head * L + i) * M + m]!,
        k: (j: number, m: number): number => x.k[(shared * S + j) * M + m]!,
        v: (j: number, e: number): number => (e < E ? x.v[(shared * S + j) * E + e]! : 1),
        initial: (m: number, e: number): number => x.initial?.[(head * M + m) * W + e] ?? 0,
        kAt: (j: number, m: number): number => (shared * S + j) * M + m,
        vAt: (j: number, e: number): number => (shared * S + j) * E + e,
      };
    }
  }
}

const dot = (r: Round, n: number, a: (i: number) => number, b: (i: number) => number): number => {
  let sum = 0;
  for (let i = 0; i < n; i++) sum = r(sum + r(a(i) * b(i)));
  return sum;
};

/** `out`, then `state`, from the definition: every pair by itself. */
export function linearAttend(
  p: LinearProblem,
  x: LinearArrays,
  r: Round = exact,
): { out: Float64Array; state: Float64Array } {
  const { B, H, L, S, M, E, normalise = true, eps = 1e-6 } = p;
  const W = normalise ? E + 1 : E;
  const [out, state] = [new Float64Array(B * H * L * E), new Float64Array(B * H * M * W)];
  for (const y of heads(p, x, r)) {
    for (let i = 0; i < L; i++) {
      const sums = rowSums(p, y, i, W, r);
      const divisor = normalise ? r(sums[E]! + eps) : 1;
      for (let e = 0; e < E; e++) out[(y.head * L + i) * E + e] = divisor === 0 ? 0 : r(sums[e]! / divisor);
    }
    for (let m = 0; m < M; m++) {
      for (let e = 0; e < W; e++) {
        let sum = r(y.initial(m, e) * r(Math.exp(y.level[S]!)));
        for (let j = 0; j < y.length; j++) {
          sum = r(sum + r(r(Math.exp(r(y.level[S]! - y.level[j + 1]!))) * r(y.k(j, m) * y.v(j, e))));
        }
        state[(y.head * M + m) * W + e] = sum;
      }
    }
  }
  return { out, state };
}

type Head = ReturnType<typeof heads> extends Generator<infer T> ? T : never;

function rowSums({ M }: LinearProblem, y: Head, i: number, W: number, r: Round): Float64Array {
  const sums = new Float64Array(W);
  const reach = y.reach(i);
  const start = r(Math.exp(y.level[reach]!));
  for (let e = 0; e < W; e++)
    sums[e] = r(
      start *
        dot(
          r,
          M,
          (m) => y.q(i, m),
          (m) => y.initial(m, e),
        ),
    );
  for (let j = 0; j < Math.min(reach, y.length); j++) {
    const decay = r(Math.exp(r(y.level[reach]! - y.level[j + 1]!)));
    const weight = r(
      decay *
        dot(
          r,
          M,
          (m) => y.q(i, m),
          (m) => y.k(j, m),
        ),
    );
    for (let e = 0; e < W; e++) sums[e] = r(sums[e]! + r(weight * y.v(j, e)));
  }
  return sums;
}

/** Gradients of q, k, v, initial and decay from those of `out` and `state`. */
export function linearGradients(
  p: LinearProblem,
  x: LinearArrays,
  dout: Numbers,
  dstate: Numbers,
  r: Round = exact,
): readonly Float64Array[] {
  const { B, H, G, L, S, M, E, normalise = true, eps = 1e-6 } = p;
  const W = normalise ? E + 1 : E;
  const [dq, dk, dv] = [B * H * L * M, B * G * S * M, B * G * S * E].map((n) => new Float64Array(n)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const [dinitial, ddecay] = [new Float64Array(B * H * M * W), new Float64Array(B * H * S)];
  const add = (to: Float64Array, at: number, value: number): void => void (to[at] = r(to[at]! + r(value)));
  for (const y of heads(p, x, r)) {
    const dlevel = new Float64Array(S + 1);
    // the final state first: sums from the end begin with it
    const end = r(Math.exp(y.level[S]!));
    for (let m = 0; m < M; m++) {
      for (let e = 0; e < W; e++) {
        const at = (y.head * M + m) * W + e;
        const d = dstate[at]!;
        add(dinitial, at, end * d);
        add(dlevel, S, r(end * y.initial(m, e)) * d);
        for (let j = 0; j < y.length; j++) {
          const decay = r(Math.exp(r(y.level[S]! - y.level[j + 1]!)));
          add(dk, y.kAt(j, m), r(decay * d) * y.v(j, e));
          if (e < E) add(dv, y.vAt(j, e), r(decay * d) * y.k(j, m));
          const term = r(r(decay * d) * r(y.k(j, m) * y.v(j, e)));
          add(dlevel, S, term);
          add(dlevel, j + 1, -term);
        }
      }
    }
    for (let i = 0; i < L; i++) {
      const sums = rowSums(p, y, i, W, r);
      const divisor = normalise ? r(sums[E]! + eps) : 1;
      const inverse = divisor === 0 ? 0 : r(1 / divisor);
      const d = (e: number): number => dout[(y.head * L + i) * E + e]!;
      const du = Array.from({ length: E }, (_, e) => r(d(e) * inverse));
      if (normalise) du.push(-r(dot(r, E, d, (e) => r(sums[e]! * inverse)) * inverse));
      const reach = y.reach(i);
      const start = r(Math.exp(y.level[reach]!));
      for (let m = 0; m < M; m++) {
        const along = r(
          start *
            dot(
              r,
              W,
              (e) => y.initial(m, e),
              (e) => du[e]!,
            ),
        );
        add(dq, (y.head * L + i) * M + m, along);
        add(dlevel, reach, y.q(i, m) * along);
        for (let e = 0; e < W; e++) add(dinitial, (y.head * M + m) * W + e, r(start * y.q(i, m)) * du[e]!);
      }
      for (let j = 0; j < Math.min(reach, y.length); j++) {
        const decay = r(Math.exp(r(y.level[reach]! - y.level[j + 1]!)));
        const score = dot(
          r,
          M,
          (m) => y.q(i, m),
          (m) => y.k(j, m),
        );
        const dweight = r(
          decay *
            dot(
              r,
              W,
              (e) => y.v(j, e),
              (e) => du[e]!,
            ),
        );
        for (let m = 0; m < M; m++) {
          add(dq, (y.head * L + i) * M + m, dweight * y.k(j, m));
          add(dk, y.kAt(j, m), dweight * y.q(i, m));
        }
        for (let e = 0; e < E; e++) add(dv, y.vAt(j, e), r(decay * score) * du[e]!);
        add(dlevel, reach, dweight * score);
        add(dlevel, j + 1, -dweight * score);
      }
    }
    let sum = 0;
    for (let t = S - 1; t >= 0; t--) {
      sum = r(sum + dlevel[t + 1]!);
      if (t < y.length) ddecay[y.head * S + t] = sum;
    }
  }
  return [dq, dk, dv, dinitial, ddecay];
}
