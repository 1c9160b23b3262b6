import type { I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import { typedKernel, type Read } from '../typed-kernel.js';
import { LANES, POINT, transformScratch } from './butterflies.js';

const names = {
  /** `[batches, n, half]`: the transform down the columns of `x[:, :half] + i·x[:, half:]`. */
  re: 'pointer',
  im: 'pointer',
  out: 'pointer',
  table: 'pointer',
  n: 'i32',
  columns: 'i32',
  half: 'i32',
  blocks: 'i32',
  stages: 'i32',
  stagesAt: 'i32',
} as const;

/**
 * The second half of `Re(F_n·X·F_D)`. For real x the rows of `Z = F_n·X` follow from two rows g = G_i, h = G_{−i} of the packed
 * transform: `Z = (g + h̄)/2` left and `(g − h̄)/2i` right; and with `H = Z_i·F_D`, row i is `Re H_j` and row −i `Re H_{−j}`.
 * Tasks are batches × blocks of 16 of the rows 0 … n/2.
 */
export const rowsKernel = typedKernel({
  name: 'fourier rows',
  key: () => '',
  parameters: names,
  text: (k, _: undefined, p) => {
    const last = k.shrUnsigned(p.n, 1);
    k.loop(k.begin, k.end, (task) => {
      const first = k.mul(k.rem(task, p.blocks), LANES);
      const batch = k.mul(k.div(task, p.blocks), p.n);
      // lanes past the last row repeat it
      const eachLane = (body: (lane: I32, row: I32, mirror: I32) => void): void =>
        k.loop(0, LANES, (lane) => {
          const row = k.min(k.add(first, lane), last);
          body(lane, k.add(batch, row), k.add(batch, k.select(row, k.sub(p.n, row), 0)));
        });
      eachLane((lane, row, mirror) => unpack(k, p, row, mirror, k.offset(k.scratch, lane, 4)));
      const done = transformScratch(k, p.table, p.stagesAt, p.stages, p.columns);
      eachLane((lane, row, mirror) => {
        const from = k.offset(done, lane, 4);
        const [straight, turned] = [row, mirror].map((at) => k.offset(p.out, k.mul(at, p.columns), 4)) as [
          Pointer,
          Pointer,
        ];
        eachColumn(k, k.constant('i32', 0), p.columns, (j, one) => {
          const source = k.offset(from, j, POINT);
          k.store(k.offset(straight, j, 4), one ? k.loadF32(source) : k.loadStrided(source, POINT));
        });
        k.store(turned, k.loadF32(from));
        eachColumn(k, k.constant('i32', 1), p.columns, (j, one) => {
          const span = (k.width - 1) * POINT;
          const source = k.offset(from, k.sub(k.sub(p.columns, one ? 0 : k.width - 1), j), POINT);
          k.store(k.offset(turned, j, 4), one ? k.loadF32(source) : k.loadStrided(source, -POINT, span));
        });
      });
    });
  },
});

/** Calls `body` for whole vectors of columns, then for the columns left one by one. */
function eachColumn(k: VectorBuilder, begin: I32, end: I32, body: (j: I32, one: boolean) => void): void {
  const whole = k.add(begin, k.and(k.sub(end, begin), -k.width));
  k.loop(begin, whole, (j) => body(j, false), k.width);
  k.loop(whole, end, (j) => body(j, true));
}

/** Writes one row of Z to a lane of scratch. With an odd number of columns the last imaginary column is 0, and lands past the end. */
function unpack(k: VectorBuilder, p: Read<typeof names>, row: I32, mirror: I32, to: Pointer): void {
  const rows = [p.re, p.im].flatMap((plane) => [row, mirror].map((at) => k.offset(plane, k.mul(at, p.half), 4)));
  eachColumn(k, k.constant('i32', 0), p.half, (j, one) => {
    const [left, right] = [k.offset(to, j, POINT), k.offset(to, k.add(j, p.half), POINT)];
    const places = rows.map((at) => k.offset(at, j, 4));
    if (one) {
      const [gr, hr, gi, hi] = places.map((at) => k.mul(k.loadF32(at), 0.5));
      k.store(left, k.add(gr!, hr!));
      k.store(left, k.sub(gi!, hi!), 4 * LANES);
      k.store(right, k.add(gi!, hi!));
      k.store(right, k.sub(hr!, gr!), 4 * LANES);
    } else {
      const [gr, hr, gi, hi] = places.map((at) => k.mul(k.loadVF(at), 0.5));
      k.storeStrided(left, k.add(gr!, hr!), POINT);
      k.storeStrided(left, k.sub(gi!, hi!), POINT, 4 * LANES);
      k.storeStrided(right, k.add(gi!, hi!), POINT);
      k.storeStrided(right, k.sub(hr!, gr!), POINT, 4 * LANES);
    }
  });
}
