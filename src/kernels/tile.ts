import type { I32, Pointer, Variable, VectorBuilder } from '../codegen/vector.js';

/** Rows × vectors of accumulators that fill the registers of the target without spilling. */
export function registerTile(width: number): { readonly rows: number; readonly vectors: number } {
  // 32 registers with AVX-512, 16 with AVX2 and WebAssembly
  return width === 16 ? { rows: 6, vectors: 4 } : width === 8 ? { rows: 6, vectors: 2 } : { rows: 4, vectors: 2 };
}

/** Where one operand of a tile product lies: element (k, i) at `pointer + k·step + i·stride` bytes. */
export interface Operand {
  readonly pointer: Pointer;
  readonly step: number;
  readonly stride: number;
}

export type Accumulators = readonly (readonly Variable<'vf'>[])[];

/** Runs `body(offset in steps)` for each step of `depth`, several steps a round; pointers advance by `advance`. */
function depthLoop(
  k: VectorBuilder,
  depth: number | I32,
  unroll: number,
  body: (step: number) => void,
  advance: (steps: number) => void,
): void {
  const round = (steps: number): void => {
    for (let step = 0; step < steps; step++) body(step);
    advance(steps);
  };
  if (typeof depth === 'number') {
    const whole = depth - (depth % unroll);
    if (whole > 0) k.loop(0, whole, () => round(unroll), unroll);
    if (depth > whole) round(depth - whole);
    return;
  }
  if (unroll === 1) return k.loop(0, depth, () => round(1));
  const whole = k.and(depth, -unroll);
  k.loop(0, whole, () => round(unroll), unroll);
  k.loop(whole, depth, () => round(1));
}

/**
 * The product every matmul-like kernel is made of: `c[r][v] += Σ_k a(k, r) · b(k, v)`, with `a` scalars broadcast to
 * all lanes and `b` vectors.
 */
export function multiplyTile(
  k: VectorBuilder,
  c: Accumulators,
  a: Operand,
  b: Operand,
  depth: number | I32,
  /** Adds nothing where this operand is 0, even where the other is NaN or Inf. */
  skipZeros?: 'a' | 'b',
): void {
  const pa = k.variable('pointer', a.pointer);
  const pb = k.variable('pointer', b.pointer);
  // measured: V8 spills accumulators in longer blocks (45 GFLOP/s by single steps, 20 by four), and so does gcc with 16 registers
  const unroll = skipZeros !== undefined ? 1 : k.width === 16 ? 4 : k.width === 8 ? 2 : 1;
  depthLoop(
    k,
    depth,
    unroll,
    (step) => {
      const vectors = c[0]!.map((_, v) => k.keep(k.loadVF(pb, step * b.step + v * b.stride)));
      c.forEach((row, r) => {
        const scalar = k.loadSplat(pa, step * a.step + r * a.stride);
        row.forEach((sum, v) => {
          const next = k.fma(scalar, vectors[v]!, sum);
          const weight = skipZeros === 'a' ? scalar : vectors[v]!;
          k.assign(sum, skipZeros === undefined ? next : k.select(k.eq(weight, 0), sum, next));
        });
      });
    },
    (steps) => {
      k.assign(pa, k.offset(pa, steps * a.step));
      k.assign(pb, k.offset(pb, steps * b.step));
    },
  );
}

/** Fresh accumulators, zero or loaded by `initial`. */
export function accumulators(
  k: VectorBuilder,
  rows: number,
  vectors: number,
  initial?: (row: number, vector: number) => Variable<'vf'> | ReturnType<VectorBuilder['loadVF']>,
): Accumulators {
  return Array.from({ length: rows }, (_, r) =>
    Array.from({ length: vectors }, (_, v) => k.variable('vf', initial ? initial(r, v) : 0)),
  );
}

/** Calls `body(first row, rows)` over `count` rows in groups of `rows`, then what is left (one by one if `count` is not known). */
export function rowGroups(
  k: VectorBuilder,
  count: number | I32,
  rows: number,
  body: (first: I32, rows: number) => void,
): void {
  if (typeof count === 'number') {
    const whole = count - (count % rows);
    if (whole > 0) k.loop(0, whole, (first) => body(first, rows), rows);
    if (count > whole) body(k.constant('i32', whole), count - whole);
    return;
  }
  const whole = k.mul(k.div(count, rows), rows);
  k.loop(0, whole, (first) => body(first, rows), rows);
  if (rows > 1) k.loop(whole, count, (first) => body(first, 1));
}
