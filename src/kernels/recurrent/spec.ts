import type { Pointer, VectorBuilder } from '../../codegen/vector.js';
import { padded } from '../linear-attend/spec.js';
import { registerTile } from '../tile.js';

/** What a program is specialised to; see `recurrentForward`. */
export interface RecurrentSpec {
  /** Columns of queries and keys, and of values. */
  readonly M: number;
  readonly E: number;
  /** Positions of one step. */
  readonly chunk: number;
  /** Whether a step forgets: by one number for the whole state, or by one for each of its M rows. */
  readonly decay: 'none' | 'head' | 'feature';
  /** Whether a key writes the difference to what it would read (the delta rule), or the value as it is. */
  readonly delta: boolean;
}

export const specKey = (s: RecurrentSpec): string => [s.M, s.E, s.chunk, s.decay, s.delta].join('/');

/**
 * Positions of one step. The pairs within it cost a step's square, and reading and writing the state once a step: measured in
 * bench/kernels/recurrent.md. A power of two above short texts, so that they do not each compile a kernel.
 */
export const chunkFor = (length: number, most = 8): number => Math.min(most, 2 ** Math.ceil(Math.log2(length)));

/** Steps of a block: the state before each block is kept for the backward pass, those of its steps are computed again. */
export const blockSteps = 32;

/** Rows in workspace, each padded with zeros to whole vectors. */
export interface Rows {
  readonly pointer: Pointer;
  /** Elements from one row to the next. */
  readonly pitch: number;
}

function sizes(spec: RecurrentSpec, width: number, pass: 'forward' | 'backward') {
  const { M, E, chunk: C, decay, delta } = spec;
  const [m, e, c] = [M, E, C].map((n) => padded(n, width)) as [number, number, number];
  const decays = decay !== 'none';
  const back = pass === 'backward';
  // [rows, columns]; what a specialisation does not use is empty
  return {
    q: [C, m],
    k: [C, m],
    u: [C, e],
    beta: [delta ? 1 : 0, c],
    alpha: [decays ? C : 0, m],
    total: [decays ? 1 : 0, m],
    /** Queries and keys times the decay since the step began, keys times that until it ends. */
    qFromStart: [decays ? C : 0, m],
    kFromStart: [decays && delta ? C : 0, m],
    kToEnd: [decays ? C : 0, m],
    readByQueries: [C, c],
    readByKeys: [delta ? C : 0, c],
    state: [back ? 0 : M, e],
    rows: [back ? 0 : C, e],
    states: [back ? (blockSteps + 1) * E : 0, m],
    adjoint: [back ? m : 0, e],
    adjointColumns: [back ? E : 0, m],
    dout: [back ? C : 0, e],
    du: [back ? C : 0, e],
    written: [back && delta ? C : 0, e],
    /** −β ∘ du: the gradient of what keys read. */
    dread: [back && delta ? C : 0, e],
    /** Queries and keys from the last to the first, and what goes with them into the adjoint. */
    reads: [back && delta ? 2 * C : 0, m],
    cotangents: [back && delta ? 2 * C : 0, e],
    gradientByQueries: [back ? C : 0, c],
    gradientByKeys: [back && delta ? C : 0, c],
    dq: [back ? C : 0, m],
    dkRead: [back && delta ? C : 0, m],
    dkAfter: [back ? C : 0, m],
    dk: [back ? C : 0, m],
    between: [back && decays ? C : 0, m],
    ddecay: [back && decays ? C + 1 : 0, m],
  } as const;
}

type Name = keyof ReturnType<typeof sizes>;

function layout(spec: RecurrentSpec, width: number, pass: 'forward' | 'backward') {
  let end = 0;
  const at = Object.entries(sizes(spec, width, pass)).map(([name, [rows, columns]]) => {
    const begin = end;
    end += padded(rows * columns, 16);
    return [name, { begin, pitch: columns }] as const;
  });
  return { at, end };
}

/** Bytes of workspace a thread needs. */
export const recurrentScratch = (spec: RecurrentSpec, width: number, pass: 'forward' | 'backward'): number =>
  4 * layout(spec, width, pass).end;

/** The parts of thread workspace. */
export function workspace(k: VectorBuilder, spec: RecurrentSpec, pass: 'forward' | 'backward') {
  const parts = layout(spec, k.width, pass).at.map(([name, { begin, pitch }]) => [
    name,
    { pointer: begin === 0 ? k.scratch : k.offset(k.scratch, 4 * begin), pitch },
  ]);
  const rows = Object.fromEntries(parts) as Readonly<Record<Name, Rows>>;
  const still = spec.decay === 'none';
  return {
    ...rows,
    ...(still && { qFromStart: rows.q, kFromStart: rows.k, kToEnd: rows.k }),
    spec,
    tile: registerTile(k.width),
    decays: !still,
  };
}

export type Workspace = ReturnType<typeof workspace>;

/** What both passes read. */
export const common = {
  /** `[heads, n, M]`, `[heads, n, M]`, `[heads, n, E]`. */
  q: 'pointer',
  k: 'pointer',
  v: 'pointer',
  /** `[heads, n]` or `[heads, n, M]`: logarithms. */
  decay: 'pointer',
  /** `[heads, n]` */
  beta: 'pointer',
  /** `[heads, n, E]`: what each key wrote, before β; the delta rule only. */
  written: 'pointer',
  /** Positions that exist, per batch of `H` heads. */
  lengths: 'pointer',
  /** `[heads, blocks, M, E]`: the state before each block. */
  blocks: 'pointer',
  H: 'i32',
  n: 'i32',
  steps: 'i32',
  blockCount: 'i32',
} as const;
