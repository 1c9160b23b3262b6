import type { Numbers } from '../support/compare.js';
import type { Round } from '../support/operation.js';

/** Component i of the turned row: which one it is paired with, its pair, and the sign of the sine. */
function partner(layout: 'half' | 'interleaved', i: number, turned: number): [number, number, number] {
  if (layout === 'interleaved') return i % 2 === 0 ? [i + 1, i / 2, -1] : [i - 1, (i - 1) / 2, 1];
  return i < turned / 2 ? [i + turned / 2, i, -1] : [i - turned / 2, i - turned / 2, 1];
}

export interface TurnProblem {
  readonly layout: 'half' | 'interleaved';
  readonly rows: number;
  readonly columns: number;
  /** Cosine and sine of pair i in row r of the whole x. */
  readonly cos: (r: number, i: number) => number;
  readonly sin: (r: number, i: number) => number;
  readonly turned: number;
}

/** Every row of x turned; component by component, `x_i·cos ± x_partner·sin`. */
export function turn(r: Round, problem: TurnProblem, x: Numbers, direction: 1 | -1 = 1): Float64Array {
  const { layout, rows, columns, turned, cos, sin } = problem;
  const out = Float64Array.from(x);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < turned; i++) {
      const [other, pair, sign] = partner(layout, i, turned);
      const [c, s] = [r(cos(row, pair)), r(direction * sign * sin(row, pair))];
      out[row * columns + i] = r(r(x[row * columns + i]! * c) + r(x[row * columns + other]! * s));
    }
  }
  return out;
}

/** The angle of pair i at position 1, by the paper. */
export const frequency = (i: number, dim: number, base = 10000): number => 1 / base ** ((2 * i) / dim);

export interface RopeProblem {
  readonly layout: 'half' | 'interleaved';
  readonly columns: number;
  readonly turned: number;
  readonly base?: number;
  /** The position of each row of the whole x. */
  readonly positions: readonly number[];
}

/** Rotary embedding by the formula. */
export function rope(r: Round, problem: RopeProblem, x: Numbers, direction: 1 | -1 = 1): Float64Array {
  const { positions, turned, base } = problem;
  const angle = (row: number, i: number): number => positions[row]! * frequency(i, turned, base);
  return turn(
    r,
    {
      ...problem,
      rows: positions.length,
      cos: (row, i) => Math.cos(angle(row, i)),
      sin: (row, i) => Math.sin(angle(row, i)),
    },
    x,
    direction,
  );
}

export interface RelativeProblem {
  readonly B: number;
  readonly H: number;
  readonly L: number;
  readonly S: number;
  readonly D: number;
  /** Size of the embedding of a distance. */
  readonly M: number;
  readonly clamp: number;
  /** Whether plain code makes the sine of a distance from those of two positions, which rounds more often. */
  readonly bySum?: boolean;
}

/** Sines, then cosines, of distance t. */
export const distanceRow = (t: number, M: number): number[] =>
  Array.from({ length: M }, (_, i) =>
    i < M / 2 ? Math.sin(t * frequency(i, M)) : Math.cos(t * frequency(i - M / 2, M)),
  );

/** The embedding of the distance from position i back to j. */
function distanceOf(r: Round, { M, clamp, bySum }: RelativeProblem, i: number, j: number): number[] {
  if (!bySum) return distanceRow(Math.min(i - j, clamp), M).map(r);
  const [a, b] = [distanceRow(i, M).map(r), distanceRow(j, M).map(r)];
  const half = M / 2;
  return a.map((_, m) => {
    const w = m % half;
    return m < half
      ? r(r(a[w]! * b[half + w]!) - r(a[half + w]! * b[w]!))
      : r(r(a[half + w]! * b[half + w]!) + r(a[w]! * b[w]!));
  });
}

interface RelativeState {
  readonly weights: Float64Array;
  /** The projected embedding for head h, query row i and key j. */
  readonly projected: (h: number, i: number, j: number) => Float64Array;
  readonly embedded: (i: number, j: number) => readonly number[];
}

const sumOf = (r: Round, count: number, term: (i: number) => number): number => {
  let sum = 0;
  for (let i = 0; i < count; i++) sum = r(sum + r(term(i)));
  return sum;
};

/** Weights of causal attention with Transformer-XL's four terms, row by row, `[B,H,L,S]`. */
function relativeWeights(
  r: Round,
  p: RelativeProblem,
  q: Numbers,
  k: Numbers,
  inputs: readonly Numbers[],
): RelativeState {
  const { B, H, L, S, D, M } = p;
  const [weight, u, v] = inputs as [Numbers, Numbers, Numbers];
  // equal distances have equal embeddings, unless they come from two positions
  const place = (i: number, j: number): number => (p.bySum ? i * S + j : i + S - L - j);
  const distances: number[][] = [];
  const embedded = (i: number, j: number): number[] => (distances[place(i, j)] ??= distanceOf(r, p, i + S - L, j));
  const rows: Float64Array[] = [];
  const projected = (h: number, i: number, j: number): Float64Array =>
    (rows[place(i, j) * H + h] ??= Float64Array.from({ length: D }, (_, d) => {
      const own = embedded(i, j);
      return sumOf(r, M, (m) => weight[(h * D + d) * M + m]! * own[m]!);
    }));
  const scale = r(1 / Math.sqrt(D));
  const weights = new Float64Array(B * H * L * S);
  for (let head = 0; head < B * H; head++) {
    const h = head % H;
    for (let i = 0; i < L; i++) {
      const scores = Array.from({ length: i + S - L + 1 }, (_, j) => {
        const row = projected(h, i, j);
        const at = (head * L + i) * D;
        const content = sumOf(r, D, (d) => r(q[at + d]! + u[h * D + d]!) * k[(head * S + j) * D + d]!);
        const position = sumOf(r, D, (d) => r(q[at + d]! + v[h * D + d]!) * row[d]!);
        return r(r(content + position) * scale);
      });
      const most = Math.max(...scores);
      const exponentials = scores.map((score) => r(Math.exp(r(score - most))));
      const total = sumOf(r, scores.length, (j) => exponentials[j]!);
      exponentials.forEach((e, j) => (weights[(head * L + i) * S + j] = r(e / total)));
    }
  }
  return { weights, projected, embedded };
}

/** Transformer-XL's attention by the formula; inputs q, k, v, W_R, u, v. */
export function relative(r: Round, p: RelativeProblem, ...inputs: readonly Numbers[]): Float64Array {
  const { B, H, L, S, D } = p;
  const [q, k, v, ...rest] = inputs as [Numbers, Numbers, Numbers, ...Numbers[]];
  const { weights } = relativeWeights(r, p, q, k, rest);
  return Float64Array.from({ length: B * H * L * D }, (_, at) => {
    const [row, d] = [Math.floor(at / D), at % D];
    const head = Math.floor(row / L);
    return sumOf(r, S, (j) => weights[row * S + j]! * v[(head * S + j) * D + d]!);
  });
}

/** Its gradients, in the order of the inputs. */
export function relativeGradients(
  r: Round,
  p: RelativeProblem,
  dout: Numbers,
  ...inputs: readonly Numbers[]
): Numbers[] {
  const { B, H, L, S, D, M } = p;
  const [q, k, v, weight, u, vb] = inputs as [Numbers, Numbers, Numbers, Numbers, Numbers, Numbers];
  const { weights, projected, embedded } = relativeWeights(r, p, q, k, [weight, u, vb]);
  const [dq, dk, dv, dweight, du, dvb] = inputs.map((input) => new Float64Array(input.length)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const scale = r(1 / Math.sqrt(D));
  const addTo = (sums: Float64Array, at: number, value: number): void => {
    sums[at] = r(sums[at]! + r(value));
  };
  for (let head = 0; head < B * H; head++) {
    const h = head % H;
    for (let i = 0; i < L; i++) {
      const row = head * L + i;
      const dweights = Array.from({ length: S }, (_, j) =>
        sumOf(r, D, (d) => dout[row * D + d]! * v[(head * S + j) * D + d]!),
      );
      const delta = sumOf(r, S, (j) => weights[row * S + j]! * dweights[j]!);
      for (let j = 0; j <= i + S - L; j++) {
        const weightOf = weights[row * S + j]!;
        const ds = r(r(weightOf * r(dweights[j]! - delta)) * scale);
        const [own, along] = [embedded(i, j), projected(h, i, j)];
        for (let d = 0; d < D; d++) {
          const [here, there] = [row * D + d, (head * S + j) * D + d];
          addTo(dv, there, weightOf * dout[here]!);
          addTo(dk, there, ds * r(q[here]! + u[h * D + d]!));
          addTo(dq, here, ds * r(k[there]! + along[d]!));
          addTo(du, h * D + d, ds * k[there]!);
          addTo(dvb, h * D + d, ds * along[d]!);
          const turned = r(ds * r(q[here]! + vb[h * D + d]!));
          own.forEach((value, m) => addTo(dweight, (h * D + d) * M + m, turned * value));
        }
      }
    }
  }
  return [dq, dk, dv, dweight, du, dvb];
}
