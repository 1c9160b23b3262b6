import type { I32, Pointer, VectorBuilder, VF, VI } from '../../codegen/vector.js';
import { divide } from '../attend/forward.js';
import type { AttendTiles } from '../attend/layout.js';
import { Expressions } from '../attend/spec.js';
import { accumulate, forEachKeyTile, queryPositions, rowsOfClass, rowsTimesPanel } from '../attend/tiles.js';
import type { Read } from '../typed-kernel.js';
import { eachLane, lineBytes } from './kept.js';
import { weightsOf, type EntmaxSpec, type shared, type Weights } from './spec.js';

/** Pieces of `size` rows in a residue class, the longest of them. */
export const panelsOf = (k: VectorBuilder, rows: I32, size: number, period: number): I32 =>
  k.div(k.add(rows, size * period - 1), size * period);

/** `body(first, count)` for blocks of at most `size`. */
export function forEachBlock(k: VectorBuilder, count: I32, size: number, body: (first: I32, count: I32) => void): void {
  k.loop(0, count, (first) => body(first, k.min(k.sub(count, first), size)), size);
}

/** `body(true)` for a tile of which the mask hides some pairs, and `body(false)` for a whole one. */
export function byMask(
  { attend: { mask } }: EntmaxSpec,
  k: VectorBuilder,
  partial: I32,
  body: (masked: boolean) => void,
) {
  if (mask)
    k.if(
      partial,
      () => body(true),
      () => body(false),
    );
  else body(false);
}

/** A panel of queries, along the lanes: what a task of the passes over queries is. */
export interface Panel extends Pick<ReturnType<typeof rowsOfClass>, 'start' | 'pitch' | 'S'> {
  readonly kvHead: I32;
  readonly weights: Weights;
  /** Rows of the panel in a tensor of so many columns. */
  readonly rows: ReturnType<ReturnType<typeof rowsOfClass>['tile']>;
  /** Which lanes have a query. */
  readonly exists: readonly VI[];
  /** For each tile of keys that may be seen: writes `queries·kᵀ` to lines from `to()` on, and calls `body`. */
  readonly forEachTile: (queries: Pointer, to: () => Pointer, body: (tile: KeyTile) => void) => void;
}

export interface KeyTile {
  readonly lines: Pointer;
  /** The first key, and how many there are. */
  readonly k0: I32;
  readonly count: I32;
  /** Calls its argument once for tiles in which pairs are hidden, and once for the others. */
  readonly byMask: (body: (allowed: Allowed) => void) => void;
}

/** Whether lane vector `v` of the panel may see a key of the tile; undefined where all may. */
export type Allowed = (j: I32, v: number) => VI | undefined;

export function forEachPanel(
  k: VectorBuilder,
  t: AttendTiles,
  spec: EntmaxSpec,
  p: Read<typeof shared>,
  body: (panel: Panel) => void,
): void {
  const { D, period, queryTile } = spec.attend;
  const expressions = new Expressions(k, spec.attend, p.constants, p.tables);
  const panels = panelsOf(k, p.L, t.panel, period);
  const tiles = panelsOf(k, p.L, queryTile, period);
  const group = k.div(p.H, p.G);
  k.loop(k.begin, k.end, (task) => {
    const [head, residue] = divide(k, k.div(task, panels), period);
    // the last panels first: under a causal mask they are the longest
    const q0 = k.mul(k.sub(k.sub(panels, 1), k.rem(task, panels)), t.panel);
    const [b, h] = [k.div(head, p.H), k.rem(head, p.H)];
    const kvHead = k.add(k.mul(b, p.G), k.div(h, group));
    const { L, S, start, pitch, tile } = rowsOfClass(k, period, residue, p.L, p.S);
    const classOf = k.add(k.mul(b, p.classPerBatch), k.mul(h, p.classPerHead));
    const row = k.add(k.mul(classOf, tiles), k.div(q0, queryTile));
    const positions = queryPositions(k, t, { firstQuery: q0, L, S });
    const keyRows = start(p.k, kvHead, p.S, D);
    body({
      kvHead,
      S,
      start,
      pitch,
      rows: tile(head, q0, t.panel),
      weights: weightsOf(k, spec, p.excess, h),
      exists: eachLane(k, t, (_, v) => k.lt(k.add(k.iota(), k.splat(k.add(q0, v * k.width))), k.splat(L))),
      forEachTile: (queries, to, ofTile) =>
        forEachKeyTile(k, t, { rowOffsets: p.rowOffsets, runs: p.runs, row, S }, undefined, (k0, count, partial) => {
          const lines = to();
          const from = k.offset(keyRows, k0, pitch(D));
          rowsTimesPanel(k, t, { rows: from, pitch: pitch(D), columns: D, panel: queries, out: lines, count });
          const allowed = (j: I32, v: number): VI | undefined =>
            expressions.mask({ b, h, k: k.add(k0, j), q: positions[v]! });
          ofTile({
            lines,
            k0,
            count,
            byMask: (inTile) => byMask(spec, k, partial, (masked) => inTile(masked ? allowed : () => undefined)),
          });
        }),
    });
  });
}

/** Adds to a panel of `columns` lines the products of rows `[count, columns]` with lines of weights. */
export function addProducts(
  k: VectorBuilder,
  t: AttendTiles,
  x: {
    readonly out: Pointer;
    readonly rows: Pointer;
    readonly columns: number;
    readonly lines: Pointer;
    readonly count: I32;
    readonly careful: I32 | undefined;
  },
): void {
  accumulate(k, t, {
    out: x.out,
    pitch: lineBytes(t),
    count: x.columns,
    vectors: t.vectors,
    a: { pointer: x.rows, step: 4 * x.columns, stride: 4 },
    b: { pointer: x.lines, step: lineBytes(t), stride: 4 * k.width },
    depth: x.count,
    weights: 'b',
    careful: x.careful,
  });
}

/** Multiplies a panel of lines by a factor of each lane. */
export function scaleLines(
  k: VectorBuilder,
  t: AttendTiles,
  lines: Pointer,
  count: number,
  factors: readonly VF[],
): void {
  k.loop(0, count, (i) => {
    const line = k.offset(lines, i, lineBytes(t));
    eachLane(k, t, (at, v) => k.store(line, k.mul(k.loadVF(line, at), factors[v]!), at));
  });
}
