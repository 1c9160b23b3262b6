import type { VectorBuilder } from '../../codegen/vector.js';
import type { Read } from '../typed-kernel.js';
import { registerTile } from '../tile.js';

/**
 * What a program is specialised to. Outputs belong to rows, sums run over keys: `out_r = Σ_c (q_r·k_c) v_c`, with `M` features
 * and `E` values. The gradients are the same sums over other operands, some of them from the end to the beginning.
 */
export interface LinearSpec {
  readonly M: number;
  readonly E: number;
  /** Positions of one step. */
  readonly chunk: number;
  /** `sum`: only the state at the end of a segment; `rows`: outputs. */
  readonly pass: 'sum' | 'rows';
  /** Row r sees keys c ≤ r, or c ≥ r with `reverse`; else all. */
  readonly causal: boolean;
  readonly reverse: boolean;
  /** Divides each row by Σ_c q_r·k_c + eps. */
  readonly normalise: boolean;
  /** One feature more: of rows it is `extra` and of keys 1, or the other way round. */
  readonly extra: 'row' | 'key' | undefined;
  readonly decay: boolean;
}

export const specKey = (s: LinearSpec): string =>
  [s.M, s.E, s.chunk, s.pass, s.causal, s.reverse, s.normalise, s.extra ?? '-', s.decay].join('/');

export const names = {
  /** `[B, rowHeads, rows, M]`, `[B, keyHeads, keys, M]`, `[B, keyHeads, keys, E]`, `[B, rowHeads, rows, E]`. */
  q: 'pointer',
  k: 'pointer',
  v: 'pointer',
  out: 'pointer',
  /** `[B, H, rows]`: takes the divisors. */
  norm: 'pointer',
  /** `[B, H, rows or keys]`: the feature `extra`. */
  extra: 'pointer',
  /** `[B, H, S]`: logarithms. */
  decay: 'pointer',
  /** Per batch, the number of positions of k and v that exist; of length S. */
  lengths: 'pointer',
  /** States in the layout of the caller, `stateColumns` wide; element (m, e) is at m·stateRow + e·stateColumn. */
  initial: 'pointer',
  final: 'pointer',
  /** States after each segment, as they lie in thread workspace. */
  segmentStates: 'pointer',
  H: 'i32',
  /** Query heads per key/value head. */
  group: 'i32',
  rows: 'i32',
  keys: 'i32',
  S: 'i32',
  /** Chunks before the shorter of rows and keys begins, and all of them. */
  leading: 'i32',
  chunks: 'i32',
  perSegment: 'i32',
  segments: 'i32',
  /** Segments whose state is kept, per head. */
  kept: 'i32',
  stateSize: 'i32',
  stateRow: 'i32',
  stateColumn: 'i32',
  hasInitial: 'i32',
  hasFinal: 'i32',
  eps: 'f32',
} as const;

export type Parameters = Read<typeof names>;

export const padded = (count: number, width: number): number => Math.ceil(count / width) * width;

/** Elements of a state as it lies in thread workspace: `[M + extra, padded E]`, then the sum of the keys if normalised. */
export function stateElements({ M, E, extra, normalise }: LinearSpec, width: number): number {
  return (M + (extra ? 1 : 0)) * padded(E, width) + (normalise ? padded(M, width) : 0);
}

/** Elements between the kept states of two segments: after a state comes the logarithm of the segment's decay. */
export const segmentPitch = (spec: LinearSpec, width: number): number => stateElements(spec, width) + width;

/** The parts of thread workspace, in elements from its beginning. */
function scratchLayout(spec: LinearSpec, width: number) {
  const { M, E } = spec;
  const line = padded(spec.chunk, width);
  const sizes = {
    state: stateElements(spec, width),
    /** Keys transposed: `[M, line]`. */
    keys: spec.causal && spec.pass === 'rows' ? M * line : 0,
    /** Values, padded or weighted: `[chunk, padded E]`. */
    values: spec.decay || E % width !== 0 ? spec.chunk * padded(E, width) : 0,
    /** Scores of one group of rows. */
    scores: registerTile(width).rows * line,
    ones: line,
    decay: spec.decay ? line : 0,
    rowFactors: spec.decay ? line : 0,
    keyFactors: spec.decay ? line : 0,
  };
  let end = 0;
  const begin = Object.fromEntries(
    Object.entries(sizes).map(([name, size]) => {
      const at = end;
      end += padded(size, 16);
      return [name, at];
    }),
  ) as { readonly [N in keyof typeof sizes]: number };
  return { ...begin, line, end };
}

/** Bytes of workspace a thread needs. */
export const linearScratch = (spec: LinearSpec, width: number): number => 4 * scratchLayout(spec, width).end;

/** Pointers into thread workspace, and the sizes the text is written for. */
export function workspace(k: VectorBuilder, spec: LinearSpec) {
  const layout = scratchLayout(spec, k.width);
  const at = (element: number) => (element === 0 ? k.scratch : k.offset(k.scratch, 4 * element));
  return {
    spec,
    tile: registerTile(k.width),
    line: layout.line,
    wide: padded(spec.E, k.width),
    state: at(layout.state),
    keySum: at((spec.M + (spec.extra ? 1 : 0)) * padded(spec.E, k.width)),
    keys: at(layout.keys),
    values: at(layout.values),
    scores: at(layout.scores),
    ones: at(layout.ones),
    decay: at(layout.decay),
    rowFactors: at(layout.rowFactors),
    keyFactors: at(layout.keyFactors),
  };
}

export type Workspace = ReturnType<typeof workspace>;
