import type { I32, Pointer, Variable, VectorBuilder, VF } from '../../codegen/vector.js';
import { STAGE_WORDS } from './plan.js';

/** Transforms done side by side: a cache line of f32. */
export const LANES = 16;
/** Bytes of a point in scratch: the real parts of all lanes, then the imaginary parts. */
export const POINT = 8 * LANES;
const IMAGINARY = 4 * LANES;

export interface Complex {
  readonly re: VF;
  readonly im: VF;
}

/** Workspace of one thread for transforms of `radix` points: stages read one half and write the other. */
export const scratchBytes = (radix: number): number => 2 * radix * POINT;

/** Vectors a point's lanes fill. */
export const vectors = (k: VectorBuilder): number[] =>
  Array.from({ length: LANES / k.width }, (_, vector) => 4 * k.width * vector);

/** `at` is the bytes from the point to the vector, one of `vectors`. */
export const loadPoint = (k: VectorBuilder, from: Pointer, at: number): Complex => ({
  re: k.loadVF(from, at),
  im: k.loadVF(from, at + IMAGINARY),
});

export function storePoint(k: VectorBuilder, to: Pointer, at: number, value: Complex): void {
  k.store(to, value.re, at);
  k.store(to, value.im, at + IMAGINARY);
}

export const multiply = (k: VectorBuilder, a: Complex, b: Complex): Complex => ({
  re: k.fma(a.re, b.re, k.neg(k.mul(a.im, b.im))),
  im: k.fma(a.re, b.im, k.mul(a.im, b.re)),
});

/** The complex number `index` of an array, in every lane. */
export function loadRoot(k: VectorBuilder, table: Pointer, index: I32 | number): Complex {
  const at = typeof index === 'number' ? table : k.offset(table, index, 8);
  const offset = typeof index === 'number' ? 8 * index : 0;
  return { re: k.loadSplat(at, offset), im: k.loadSplat(at, offset + 4) };
}

const add = (k: VectorBuilder, a: Complex, b: Complex): Complex => ({ re: k.add(a.re, b.re), im: k.add(a.im, b.im) });
const sub = (k: VectorBuilder, a: Complex, b: Complex): Complex => ({ re: k.sub(a.re, b.re), im: k.sub(a.im, b.im) });
/** a − i·b, and a + i·b. */
const subTurned = (k: VectorBuilder, a: Complex, b: Complex): Complex => ({
  re: k.add(a.re, b.im),
  im: k.sub(a.im, b.re),
});
const addTurned = (k: VectorBuilder, a: Complex, b: Complex): Complex => ({
  re: k.sub(a.re, b.im),
  im: k.add(a.im, b.re),
});

/** Where a stage stands: its m and s, its numbers in the table, the points it reads and those it writes. */
interface Stage {
  readonly m: I32;
  readonly s: I32;
  readonly numbers: Pointer;
  readonly from: Pointer;
  readonly to: Pointer;
}

/**
 * The transforms of `radix` points that lie in the first half of scratch, in natural order. Returns the half they end in.
 */
export function transformScratch(
  k: VectorBuilder,
  table: Pointer,
  stagesAt: I32,
  stages: I32,
  radix: I32,
): Variable<'pointer'> {
  const from = k.variable('pointer', k.scratch);
  const to = k.variable('pointer', k.offset(k.scratch, radix, POINT));
  k.loop(0, stages, (index) => {
    const record = k.offset(table, k.add(stagesAt, k.mul(index, STAGE_WORDS)), 4);
    const stage: Stage = {
      m: k.loadI32(record, 4),
      s: k.loadI32(record, 8),
      numbers: k.offset(table, k.loadI32(record, 12), 4),
      from,
      to,
    };
    const r = k.loadI32(record);
    k.if(
      k.eq(r, 4),
      () => four(k, stage),
      () =>
        k.if(
          k.eq(r, 2),
          () => two(k, stage),
          () => odd(k, stage, r),
        ),
    );
    const read = k.offset(from, 0);
    k.assign(from, to);
    k.assign(to, read);
  });
  return from;
}

/** Calls `body` for every p and q: input k lies k·`step` bytes from `from`, output k lies k·`s` points from `to`. */
function each(
  k: VectorBuilder,
  { m, s, from, to }: Stage,
  radix: number | I32,
  prepare: (p: I32) => readonly Complex[],
  body: (from: Pointer, to: Pointer, roots: readonly Complex[], p: I32) => void,
): void {
  k.loop(0, m, (p) => {
    const roots = prepare(p);
    const source = k.variable('pointer', k.offset(from, k.mul(p, s), POINT));
    const target = k.variable('pointer', k.offset(to, k.mul(k.mul(p, s), radix), POINT));
    k.loop(0, s, () => {
      body(source, target, roots, p);
      k.assign(source, k.offset(source, POINT));
      k.assign(target, k.offset(target, POINT));
    });
  });
}

function four(k: VectorBuilder, stage: Stage): void {
  const [read, write] = [k.mul(k.mul(stage.m, stage.s), POINT), k.mul(stage.s, POINT)];
  const prepare = (p: I32): Complex[] => {
    const base = k.offset(stage.numbers, p, 24);
    return [0, 1, 2].map((i) => loadRoot(k, base, i));
  };
  each(k, stage, 4, prepare, (from, to, [w1, w2, w3]) => {
    const sources = places(k, from, read, 4);
    const targets = places(k, to, write, 4);
    for (const at of vectors(k)) {
      const [a, b, c, d] = sources.map((source) => loadPoint(k, source, at)) as [Complex, Complex, Complex, Complex];
      const [even, odds] = [add(k, a, c), add(k, b, d)];
      const [evenless, oddless] = [sub(k, a, c), sub(k, b, d)];
      storePoint(k, targets[0]!, at, add(k, even, odds));
      storePoint(k, targets[1]!, at, multiply(k, subTurned(k, evenless, oddless), w1!));
      storePoint(k, targets[2]!, at, multiply(k, sub(k, even, odds), w2!));
      storePoint(k, targets[3]!, at, multiply(k, addTurned(k, evenless, oddless), w3!));
    }
  });
}

function places(k: VectorBuilder, first: Pointer, step: I32, count: number): Pointer[] {
  const all = [first];
  while (all.length < count) all.push(k.offset(all.at(-1)!, step));
  return all;
}

function two(k: VectorBuilder, stage: Stage): void {
  const [read, write] = [k.mul(k.mul(stage.m, stage.s), POINT), k.mul(stage.s, POINT)];
  each(
    k,
    stage,
    2,
    (p) => [loadRoot(k, stage.numbers, p)],
    (from, to, [w]) => {
      const [second, last] = [k.offset(from, read), k.offset(to, write)];
      for (const at of vectors(k)) {
        const [a, b] = [loadPoint(k, from, at), loadPoint(k, second, at)];
        storePoint(k, to, at, add(k, a, b));
        storePoint(k, last, at, multiply(k, sub(k, a, b), w!));
      }
    },
  );
}

/** An odd radix by its definition: the numbers are its roots of unity, then r twiddles for each p. */
function odd(k: VectorBuilder, stage: Stage, r: I32): void {
  const read = k.mul(stage.m, stage.s);
  each(
    k,
    stage,
    r,
    () => [],
    (from, to, _, p) =>
      k.loop(0, r, (output) => {
        const twiddle = loadRoot(k, stage.numbers, k.add(r, k.add(k.mul(p, r), output)));
        const target = k.offset(to, k.mul(output, stage.s), POINT);
        for (const at of vectors(k)) {
          const [re, im] = [k.variable('vf', 0), k.variable('vf', 0)];
          const power = k.variable('i32', 0);
          k.loop(0, r, (input) => {
            const x = loadPoint(k, k.offset(from, k.mul(input, read), POINT), at);
            const w = loadRoot(k, stage.numbers, power);
            k.assign(re, k.fma(x.re, w.re, k.fma(k.neg(x.im), w.im, re)));
            k.assign(im, k.fma(x.re, w.im, k.fma(x.im, w.re, im)));
            const next = k.add(power, output);
            k.assign(power, k.select(k.ge(next, r), k.sub(next, r), next));
          });
          storePoint(k, target, at, multiply(k, { re, im }, twiddle));
        }
      }),
  );
}
