import type { F32, I32, Pointer, VectorBuilder } from '../codegen/vector.js';
import type { Device, DeviceBuffer } from '../devices/device.js';
import { typedKernel } from './typed-kernel.js';
import { eachVector } from './lanes.js';

/** Which components of a row turn together: 2i and 2i + 1, or i and i + half of those that turn. */
export type PairLayout = 'interleaved' | 'half';

// elements of a task and of a block of rows, whatever the number of threads: blocks long enough for the memory to stream
// (2048 are 1.7 times slower), whose angles still stay in the second cache
const taskElements = 131072;
const blockElements = 32768;

/**
 * `(y_a, y_b) = (x_a·c − x_b·s, x_b·c + x_a·s)` for the pairs of every row; components past them are copied. A task takes a
 * block of rows of several matrices, which read the same angles.
 */
const rotateKernel = typedKernel({
  name: 'rotate pairs',
  key: (layout: PairLayout) => layout,
  parameters: {
    x: 'pointer',
    /** `[tables, rows, 2·half]`: cosines, then sines. */
    angles: 'pointer',
    out: 'pointer',
    /** Matrices that read one table, and how many of them a task takes. */
    matrices: 'i32',
    matricesPerTask: 'i32',
    matrixGroups: 'i32',
    rows: 'i32',
    rowsPerTask: 'i32',
    rowGroups: 'i32',
    columns: 'i32',
    /** Pairs of a row. */
    half: 'i32',
    /** Factor of the sines: 1, or −1 to turn back. */
    sign: 'f32',
  },
  text: (k, layout, p) =>
    k.loop(k.begin, k.end, (task) => {
      const group = k.div(task, p.rowGroups);
      const firstRow = k.mul(k.rem(task, p.rowGroups), p.rowsPerTask);
      const endRow = k.min(k.add(firstRow, p.rowsPerTask), p.rows);
      const table = k.div(group, p.matrixGroups);
      const first = k.mul(k.rem(group, p.matrixGroups), p.matricesPerTask);
      const end = k.min(k.add(first, p.matricesPerTask), p.matrices);
      k.loop(first, end, (matrix) =>
        k.loop(firstRow, endRow, (row) => {
          const at = k.add(k.mul(k.add(k.mul(table, p.matrices), matrix), p.rows), row);
          const cosines = k.offset(p.angles, k.add(k.mul(table, p.rows), row), k.shl(p.half, 3));
          const bytes = k.shl(p.columns, 2);
          const line = {
            from: k.offset(p.x, at, bytes),
            to: k.offset(p.out, at, bytes),
            cosines,
            sines: k.offset(cosines, p.half, 4),
          };
          if (layout === 'half') turnHalves(k, line, p.half, p.sign);
          else turnNeighbours(k, line, p.half, p.sign);
          eachVector(k, k.shl(p.half, 1), p.columns, (column, count) =>
            k.store(k.offset(line.to, column, 4), k.loadVF(k.offset(line.from, column, 4), 0, count), 0, count),
          );
        }),
      );
    }),
});

type Line = Readonly<Record<'from' | 'to' | 'cosines' | 'sines', Pointer>>;

function turnHalves(k: VectorBuilder, { from, to, cosines, sines }: Line, half: I32, sign: F32): void {
  const signs = k.splat(sign);
  const [fromHigh, toHigh] = [k.offset(from, half, 4), k.offset(to, half, 4)];
  eachVector(k, k.constant('i32', 0), half, (i, count) => {
    const load = (base: Pointer) => k.loadVF(k.offset(base, i, 4), 0, count);
    const [low, high, c, s] = [load(from), load(fromHigh), load(cosines), k.mul(load(sines), signs)];
    k.store(k.offset(to, i, 4), k.sub(k.mul(low, c), k.mul(high, s)), 0, count);
    k.store(k.offset(toHigh, i, 4), k.add(k.mul(high, c), k.mul(low, s)), 0, count);
  });
}

function turnNeighbours(k: VectorBuilder, { from, to, cosines, sines }: Line, half: I32, sign: F32): void {
  const signs = k.splat(sign);
  const whole = k.and(half, -k.width);
  k.loop(
    0,
    whole,
    (i) => {
      const [x, y] = [k.offset(from, i, 8), k.offset(to, i, 8)];
      const [even, odd] = [k.loadStrided(x, 8), k.loadStrided(x, 8, 4)];
      const c = k.loadVF(k.offset(cosines, i, 4));
      const s = k.mul(k.loadVF(k.offset(sines, i, 4)), signs);
      k.storeStrided(y, k.sub(k.mul(even, c), k.mul(odd, s)), 8);
      k.storeStrided(y, k.add(k.mul(odd, c), k.mul(even, s)), 8, 4);
    },
    k.width,
  );
  k.loop(whole, half, (i) => {
    const [x, y] = [k.offset(from, i, 8), k.offset(to, i, 8)];
    const [even, odd, c] = [k.loadF32(x), k.loadF32(x, 4), k.loadF32(k.offset(cosines, i, 4))];
    const s = k.mul(k.loadF32(k.offset(sines, i, 4)), sign);
    k.store(y, k.sub(k.mul(even, c), k.mul(odd, s)));
    k.store(y, k.add(k.mul(odd, c), k.mul(even, s)), 4);
  });
}

export interface RotateShape {
  /** Tables of angles, matrices that read each of them, rows of a matrix and components of a row. */
  readonly tables: number;
  readonly matrices: number;
  readonly rows: number;
  readonly columns: number;
  readonly half: number;
}

/** Turns the pairs of f32 rows by the angles, or with `sign` −1 back. */
export function launchRotate(
  device: Device,
  layout: PairLayout,
  buffers: Readonly<Record<'x' | 'angles' | 'out', DeviceBuffer>>,
  shape: RotateShape,
  sign: 1 | -1,
): void {
  const { tables, matrices, rows, columns, half } = shape;
  // a block of rows reads its angles once for all matrices; a GPU rather has more tasks
  const [block, whole] = device.info.gpu ? [64, 64] : [blockElements, taskElements];
  const rowsPerTask = Math.min(rows, Math.max(1, Math.floor(block / columns)));
  const rowGroups = Math.ceil(rows / rowsPerTask);
  const matricesPerTask = Math.min(matrices, Math.max(1, Math.floor(whole / (rowsPerTask * columns))));
  const matrixGroups = Math.ceil(matrices / matricesPerTask);
  const { kernel, pack } = rotateKernel(layout);
  const plan = { matrices, matricesPerTask, matrixGroups, rows, rowsPerTask, rowGroups, columns, half, sign };
  device.run(kernel, pack({ ...buffers, ...plan }), tables * matrixGroups * rowGroups);
  device.counters.bytesMoved += 8 * tables * rows * (matrices * columns + half);
}
