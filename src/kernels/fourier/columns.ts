import type { I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import { typedKernel, type Read } from '../typed-kernel.js';
import {
  LANES,
  POINT,
  loadPoint,
  loadRoot,
  multiply,
  storePoint,
  transformScratch,
  vectors,
  type Complex,
} from './butterflies.js';

const names = {
  re: 'pointer',
  im: 'pointer',
  outRe: 'pointer',
  outIm: 'pointer',
  table: 'pointer',
  /** With `scaled`, a complex number per row that it is multiplied by, real and imaginary parts apart. */
  scaleRe: 'pointer',
  scaleIm: 'pointer',
  /** Rows that are read; those after them count as 0. Only with `scaled`. */
  rows: 'i32',
  /** Elements from a row to the next, and from a batch to the next. */
  stride: 'i32',
  outStride: 'i32',
  batch: 'i32',
  outBatch: 'i32',
  columns: 'i32',
  /** Columns that `im` has; the others count as 0. */
  imColumns: 'i32',
  blocks: 'i32',
  radix: 'i32',
  m: 'i32',
  s: 'i32',
  stages: 'i32',
  stagesAt: 'i32',
  rootsAt: 'i32',
} as const;

/**
 * One pass of a transform down the columns, on `[batch, n, columns]` with real and imaginary parts apart. For p < m, q < s:
 * `out[q + s·(radix·p + k)] = w^{p·k} Σ_j x[q + s·(p + m·j)] e^{−2πi·jk/radix}`, w the root of unity of `radix·m`.
 * Tasks are batches × p × q × blocks of 16 columns.
 */
export const columnsKernel = typedKernel({
  name: 'fourier columns',
  key: ({ scaled }: { readonly scaled: boolean }) => (scaled ? 'scaled' : ''),
  parameters: names,
  text: (k, { scaled }, p) =>
    k.loop(k.begin, k.end, (task) => {
      const column = k.mul(k.rem(task, p.blocks), LANES);
      const place = k.div(task, p.blocks);
      const q = k.rem(place, p.s);
      const rest = k.div(place, p.s);
      const at = k.rem(rest, p.m);
      const batch = k.div(rest, p.m);
      const width = k.sub(p.columns, column);
      const imWidth = k.sub(p.imColumns, column);
      const whole = k.and(k.ge(width, LANES), k.ge(imWidth, LANES));
      const start = k.add(k.mul(batch, p.batch), column);
      const [re, im] = [k.offset(p.re, start, 4), k.offset(p.im, start, 4)];
      const rowAt = (j: I32): I32 => k.add(q, k.mul(p.s, k.add(at, k.mul(p.m, j))));
      const fill = (limit?: readonly [I32, I32]): void =>
        k.loop(0, p.radix, (j) => {
          const row = rowAt(j);
          const step = k.mul(row, p.stride);
          const to = k.offset(k.scratch, j, POINT);
          const load = (): void => loadRow(k, scaled, p, row, k.offset(re, step, 4), k.offset(im, step, 4), to, limit);
          if (!scaled) return load();
          k.if(k.lt(row, p.rows), load, () => clear(k, to));
        });
      k.if(
        whole,
        () => fill(),
        () => fill([width, imWidth]),
      );
      const done = transformScratch(k, p.table, p.stagesAt, p.stages, p.radix);
      const outStart = k.add(k.mul(batch, p.outBatch), column);
      const [outRe, outIm] = [k.offset(p.outRe, outStart, 4), k.offset(p.outIm, outStart, 4)];
      const roots = k.offset(p.table, p.rootsAt, 4);
      const empty = (limit?: I32): void =>
        k.loop(0, p.radix, (j) => {
          const step = k.mul(k.add(q, k.mul(p.s, k.add(k.mul(p.radix, at), j))), p.outStride);
          const root = loadRoot(k, roots, k.mul(at, j));
          const from = k.offset(done, j, POINT);
          for (const lane of vectors(k)) {
            const value = multiply(k, loadPoint(k, from, lane), root);
            const count = limit && k.sub(limit, lane / 4);
            k.store(k.offset(outRe, step, 4), value.re, lane, count);
            k.store(k.offset(outIm, step, 4), value.im, lane, count);
          }
        });
      k.if(
        k.ge(width, LANES),
        () => empty(),
        () => empty(width),
      );
    }),
});

function loadRow(
  k: VectorBuilder,
  scaled: boolean,
  p: Read<typeof names>,
  row: I32,
  re: Pointer,
  im: Pointer,
  to: Pointer,
  limit?: readonly [I32, I32],
): void {
  const scale: Complex | undefined = scaled
    ? { re: k.loadSplat(k.offset(p.scaleRe, row, 4)), im: k.loadSplat(k.offset(p.scaleIm, row, 4)) }
    : undefined;
  for (const lane of vectors(k)) {
    const [reCount, imCount] = limit ? limit.map((width) => k.sub(width, lane / 4)) : [];
    const value = { re: k.loadVF(re, lane, reCount), im: k.loadVF(im, lane, imCount) };
    storePoint(k, to, lane, scale ? multiply(k, value, scale) : value);
  }
}

function clear(k: VectorBuilder, to: Pointer): void {
  const zero = k.constant('vf', 0);
  for (const lane of vectors(k)) storePoint(k, to, lane, { re: zero, im: zero });
}
