import type { I32, Pointer, VectorBuilder } from '../codegen/vector.js';
import type { Device, DeviceBuffer } from '../devices/device.js';
import { typedKernel } from './typed-kernel.js';
import { eachVector, sumVectors } from './lanes.js';

// elements of the square that one task writes or reads, whatever the number of threads
const taskElements = 65536;

/** Products of one row of n numbers. */
export const pairsOfRow = (n: number): number => (n * (n + 1)) / 2;

/** Row i of the upper triangle, so that (i, j) is at its offset j. */
const lineOf = (k: VectorBuilder, square: Pointer, i: I32, n: I32): Pointer =>
  k.offset(square, k.sub(k.mul(i, n), k.div(k.mul(i, k.add(i, 1)), 2)), 4);

/** `forward`: products of every row of x; `backward`: the gradient of x from that of the products, `square`. */
const squareKernel = typedKernel({
  name: 'symmetric square',
  key: (pass: 'forward' | 'backward') => pass,
  parameters: {
    x: 'pointer',
    square: 'pointer',
    dx: 'pointer',
    rows: 'i32',
    rowsPerTask: 'i32',
    n: 'i32',
    pairs: 'i32',
  },
  text: (k, pass, p) =>
    k.loop(k.begin, k.end, (task) => {
      const first = k.mul(task, p.rowsPerTask);
      k.loop(first, k.min(k.add(first, p.rowsPerTask), p.rows), (row) => {
        const [x, dx] = [k.offset(p.x, k.mul(row, p.n), 4), k.offset(p.dx, k.mul(row, p.n), 4)];
        const square = k.offset(p.square, k.mul(row, p.pairs), 4);
        const zero = k.constant('i32', 0);
        if (pass === 'backward')
          eachVector(k, zero, p.n, (j, count) => k.store(k.offset(dx, j, 4), k.splat(k.constant('f32', 0)), 0, count));
        k.loop(zero, p.n, (i) => {
          const own = k.loadF32(k.offset(x, i, 4));
          // √2 times the products of two numbers, as each stands for two places of the square
          const factor = k.mul(own, Math.SQRT2);
          const line = lineOf(k, square, i, p.n);
          const others = k.add(i, 1);
          if (pass === 'forward') {
            k.store(k.offset(line, i, 4), k.mul(own, own));
            eachVector(k, others, p.n, (j, count) =>
              k.store(k.offset(line, j, 4), k.mul(k.loadVF(k.offset(x, j, 4), 0, count), k.splat(factor)), 0, count),
            );
            return;
          }
          const along = sumVectors(k, others, p.n, (j, count) =>
            k.mul(k.loadVF(k.offset(line, j, 4), 0, count), k.loadVF(k.offset(x, j, 4), 0, count)),
          );
          eachVector(k, others, p.n, (j, count) => {
            const at = k.offset(dx, j, 4);
            const d = k.loadVF(k.offset(line, j, 4), 0, count);
            k.store(at, k.fma(d, k.splat(factor), k.loadVF(at, 0, count)), 0, count);
          });
          const at = k.offset(dx, i, 4);
          const self = k.mul(k.mul(k.loadF32(k.offset(line, i, 4)), own), 2);
          k.store(at, k.add(k.loadF32(at), k.add(self, k.mul(along, Math.SQRT2))));
        });
      });
    }),
});

/** Rows of n numbers and of their products; `square` is written, or with `dx` read. */
export function launchSymmetricSquare(
  device: Device,
  { x, square, dx }: { readonly x: DeviceBuffer; readonly square: DeviceBuffer; readonly dx?: DeviceBuffer },
  { rows, n }: { readonly rows: number; readonly n: number },
): void {
  const pairs = pairsOfRow(n);
  const rowsPerTask = Math.max(1, Math.floor(taskElements / pairs));
  const { kernel, pack } = squareKernel(dx ? 'backward' : 'forward');
  device.run(kernel, pack({ x, square, dx: dx ?? square, rows, rowsPerTask, n, pairs }), Math.ceil(rows / rowsPerTask));
  device.counters.bytesMoved += 4 * rows * (pairs + (dx ? 2 : 1) * n);
}
