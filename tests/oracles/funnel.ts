import { affine } from '../nn/formulas.js';
import type { RowPooling } from '../../src/nn/index.js';
import type { Graph, Matrix } from './graph.js';

/** Rows and where they stand. */
export interface Standing {
  readonly x: Matrix;
  readonly positions: readonly number[];
  /** Tokens from one to the next. */
  readonly stride: number;
  /** The type of each: those of one type, and type `joker` and any other, are of one segment. */
  readonly types?: readonly number[];
}

/** The rows of each window of two, and where it stands: the class is doubled in front, so that it is a window by itself. */
export function windows({ x, positions, stride }: Standing, { separateClass, truncate }: RowPooling) {
  const rows = Array.from({ length: x.rows }, (_, i) => i);
  const doubled = separateClass ? [0, ...rows] : rows;
  if (separateClass && truncate && doubled.length % 2 === 1) doubled.pop();
  const pairs: number[][] = [];
  for (let i = 0; i < doubled.length; i += 2) pairs.push(doubled.slice(i, i + 2));
  const places = pairs.map(([first], i) => (separateClass && i === 0 ? 1 - 2 * stride : positions[first!]!));
  return { pairs, places };
}

/** The mean, or the larger, of the rows of each window. */
export function pooledRows(g: Graph, rows: Standing, pooling: RowPooling): Standing {
  const { pairs, places } = windows(rows, pooling);
  const [a, b] = [0, -1].map((at) =>
    g.gatherRows(
      rows.x,
      pairs.map((pair) => pair.at(at)!),
    ),
  ) as [Matrix, Matrix];
  const larger = (): Matrix =>
    g.add(
      a,
      g.map(
        g.sub(b, a),
        (d) => Math.max(0, d),
        (d) => Number(d > 0),
      ),
    );
  return {
    x: pooling.kind === 'mean' ? g.scale(g.add(a, b), 0.5) : larger(),
    positions: places,
    stride: 2 * rows.stride,
    ...(rows.types && { types: pairs.map(([first]) => rows.types![first!]!) }),
  };
}

/** Each row `2^times` times, the class once, and zeros for tokens that were left out. */
export function repeated(g: Graph, x: Matrix, tokens: number, times: number, separateClass: boolean): Matrix {
  const from = Array.from({ length: tokens }, (_, t) =>
    separateClass ? (t === 0 ? 0 : 1 + Math.floor((t - 1) / 2 ** times)) : Math.floor(t / 2 ** times),
  );
  const rows = g.gatherRows(
    x,
    from.map((row) => Math.min(row, x.rows - 1)),
  );
  const there = from.flatMap((row) => new Array<number>(x.columns).fill(Number(row < x.rows)));
  return g.mul(rows, g.input(there, tokens, x.columns));
}

export interface FunnelHeads {
  readonly heads: number;
  readonly headDim: number;
  readonly position: 'rope' | 'transformer-xl' | 'none';
  readonly separateClass: boolean;
  readonly joker?: number | undefined;
  readonly parameter: (name: string) => Matrix | undefined;
}

/** Multi-head attention of rows at positions to others, with the terms of Funnel for `transformer-xl`; heads side by side. */
export function funnelAttention(g: Graph, queries: Standing, source: Standing, given: FunnelHeads): Matrix {
  const { heads, headDim: D, position, separateClass, parameter } = given;
  const [L, S] = [queries.x.rows, source.x.rows];
  const bias = (name: string) => parameter(`${name}.bias`);
  const joint = parameter('qkv.weight');
  const qkv = joint && affine(g, source.x, joint, bias('qkv'));
  const q = qkv ?? affine(g, queries.x, parameter('query.weight')!, bias('query'));
  const kv = qkv ?? affine(g, source.x, parameter('keyValue.weight')!, bias('keyValue'));
  const shift = qkv ? heads * D : 0;
  const cut = (of: Matrix, at: number): Matrix => g.columns(of, at, at + D);
  const counts = (i: number, j: number): number => Number(!separateClass || (i > 0 && j > 0));
  const outs = Array.from({ length: heads }, (_, h) => {
    let [query, key] = [cut(q, h * D), cut(kv, shift + h * D)];
    const value = cut(kv, shift + (heads + h) * D);
    if (position === 'rope') {
      query = turned(g, query, queries.positions);
      key = turned(g, key, source.positions);
    }
    const ofHead = (name: string): Matrix | undefined => {
      const all = parameter(name);
      return all && g.rows(all, h, h + 1);
    };
    const u = ofHead('contentBias');
    let scores = g.matmulT(u ? g.add(query, u) : query, key);
    const weight = parameter('weight');
    if (position === 'transformer-xl' && weight) {
      const M = weight.columns;
      const distances = g.input(
        queries.positions.flatMap((p) => source.positions.flatMap((r) => waves(p - r, M))),
        L * S,
        M,
      );
      const projected = g.matmulT(distances, g.rows(weight, h * D, (h + 1) * D)); // [L·S, D]
      const asked = g.gatherRows(
        g.add(query, ofHead('positionBias')!),
        Array.from({ length: L * S }, (_, n) => Math.floor(n / S)),
      );
      const flat = g.rowSum(g.mul(asked, projected));
      const grid = g.concatRows(Array.from({ length: L }, (_, i) => g.transpose(g.rows(flat, i * S, (i + 1) * S))));
      const e = ofHead('others');
      const shareOf = (of: Matrix): Matrix => g.matmulT(g.add(query, ofHead('othersBias')!), of); // [L, 1]
      const spread = (share: Matrix, where: (i: number, j: number) => boolean): Matrix =>
        g.mul(
          g.matmul(share, g.input(new Array<number>(S).fill(1), 1, S)),
          g.input(
            Array.from({ length: L * S }, (_, n) => Number(where(Math.floor(n / S), n % S))),
            L,
            S,
          ),
        );
      const [own, other] = [queries.types, source.types];
      const alike = (i: number, j: number): boolean =>
        !own || !other || own[i] === other[j] || own[i] === given.joker || other[j] === given.joker;
      const d = ofHead('different');
      let all = e ? g.add(grid, spread(shareOf(e), alike)) : grid;
      if (d)
        all = g.add(
          all,
          spread(shareOf(d), (i, j) => !alike(i, j)),
        );
      const c = g.input(
        Array.from({ length: L * S }, (_, n) => counts(Math.floor(n / S), n % S)),
        L,
        S,
      );
      scores = g.add(scores, g.mul(all, c));
    }
    return g.matmul(g.softmax(g.scale(scores, D ** -0.5)), value);
  });
  return affine(g, g.concatColumns(outs), parameter('out.weight')!, bias('out'));
}

/** R(x) = [sin(x w), cos(x w)], w_c = 10000^(−2c/M). */
function waves(x: number, M: number): number[] {
  const angles = Array.from({ length: M / 2 }, (_, c) => x * 10000 ** ((-2 * c) / M));
  return [...angles.map(Math.sin), ...angles.map(Math.cos)];
}

/** Components c and c + D/2 of the row at p turn by p·10000^(−2c/D). */
function turned(g: Graph, x: Matrix, positions: readonly number[]): Matrix {
  const half = x.columns / 2;
  const table = (f: (angle: number) => number): Matrix =>
    g.input(
      positions.flatMap((p) => Array.from({ length: half }, (_, c) => f(p * 10000 ** (-c / half)))),
      x.rows,
      half,
    );
  const [cos, sin] = [table(Math.cos), table(Math.sin)];
  const [a, b] = [g.columns(x, 0, half), g.columns(x, half, 2 * half)];
  return g.concatColumns([g.sub(g.mul(a, cos), g.mul(b, sin)), g.add(g.mul(b, cos), g.mul(a, sin))]);
}
