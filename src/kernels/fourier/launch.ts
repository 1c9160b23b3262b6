import type { Device, DeviceBuffer, KernelArgument } from '../../devices/device.js';
import { LANES, scratchBytes } from './butterflies.js';
import { columnsKernel } from './columns.js';
import { isSmooth, planFourier, productsOf, smoothAtLeast, type Pass } from './plan.js';
import { rowsKernel } from './rows.js';

/** Bytes of workspace that a transform of an awkward length aims at; whole columns need n·64 bytes at least. */
const CHIRP_BYTES = 2 ** 26;
/** Complex numbers of one grain of work. */
const GRAIN = 16384;

/** A matrix `[batch, n, columns]` of complex numbers, real and imaginary parts apart. */
export interface Planes {
  readonly re: DeviceBuffer;
  readonly im: DeviceBuffer;
  /** Bytes before the first element. */
  readonly reAt: number;
  readonly imAt: number;
  /** Elements from a row to the next, and from a batch to the next. */
  readonly stride: number;
  readonly batch: number;
}

export interface Columns {
  readonly batches: number;
  readonly n: number;
  readonly columns: number;
  /** Columns that the input's imaginary part has; the others are 0. */
  readonly imColumns: number;
}

/** A factor for every row of the input; the input's rows from `rows` on count as 0. */
interface Scale {
  readonly re: KernelArgument;
  readonly im: KernelArgument;
  readonly rows: number;
}

const argument = (buffer: DeviceBuffer, byteOffset: number): KernelArgument => ({ buffer, byteOffset });
const swap = (x: Planes): Planes => ({ ...x, re: x.im, im: x.re, reAt: x.imAt, imAt: x.reAt });
const skip = (x: Planes, elements: number): Planes => ({
  ...x,
  reAt: x.reAt + 4 * elements,
  imAt: x.imAt + 4 * elements,
});

/** Runs `body` with a buffer of workspace. */
function within(device: Device, bytes: number, body: (buffer: DeviceBuffer) => void): void {
  const buffer = device.allocate(bytes, 'workspace');
  try {
    body(buffer);
  } finally {
    device.free(buffer);
  }
}

/** The halves of a buffer as planes without gaps. */
const planesOf = (buffer: DeviceBuffer, n: number, columns: number): Planes => ({
  re: buffer,
  im: buffer,
  reAt: 0,
  imAt: buffer.byteLength / 2,
  stride: columns,
  batch: n * columns,
});

function runPass(
  device: Device,
  table: DeviceBuffer,
  pass: Pass,
  x: Planes,
  out: Planes,
  shape: Columns,
  scale?: Scale,
): void {
  const { kernel, pack } = columnsKernel({ scaled: scale !== undefined });
  const blocks = Math.ceil(shape.columns / LANES);
  const points = pass.m * pass.s * blocks * shape.batches;
  const args = pack({
    ...pass,
    re: argument(x.re, x.reAt),
    im: argument(x.im, x.imAt),
    outRe: argument(out.re, out.reAt),
    outIm: argument(out.im, out.imAt),
    table,
    scaleRe: scale?.re ?? table,
    scaleIm: scale?.im ?? table,
    rows: scale?.rows ?? 0,
    stride: x.stride,
    outStride: out.stride,
    batch: x.batch,
    outBatch: out.batch,
    columns: shape.columns,
    imColumns: shape.imColumns,
    blocks,
  });
  const grain = Math.max(1, Math.floor(GRAIN / (pass.radix * LANES)));
  device.run(kernel, args, points, { scratchBytes: scratchBytes(pass.radix), grain });
  const numbers = shape.batches * pass.radix * pass.m * pass.s * shape.columns;
  device.counters.bytesMoved += 16 * numbers;
}

/** A transform of a length with small prime factors; `out` must not overlap `x`. */
function smooth(device: Device, x: Planes, out: Planes, shape: Columns, scale?: Scale): void {
  const { passes, table } = planFourier(shape.n);
  const { batches, n, columns } = shape;
  within(device, table.byteLength, (numbers) => {
    device.write(numbers, table);
    const run = (other: Planes): void => {
      let from = x;
      passes.forEach((pass, i) => {
        const to = (passes.length - 1 - i) % 2 === 0 ? out : other;
        const imColumns = i === 0 ? shape.imColumns : columns;
        runPass(device, numbers, pass, from, to, { ...shape, imColumns }, i === 0 ? scale : undefined);
        from = to;
      });
    };
    if (passes.length === 1) return run(out);
    within(device, 8 * batches * n * columns, (buffer) => run(planesOf(buffer, n, columns)));
  });
}

/**
 * `out = F_n·x` down the columns, e^{−2πi·jk/n} without a factor. A length with a prime factor above 64 is a convolution with
 * the chirp e^{−πi·j²/n} (Bluestein 1970), done by transforms of a longer smooth length, some columns at a time. `out` must
 * not overlap `x`.
 */
export function launchColumns(device: Device, x: Planes, out: Planes, shape: Columns): void {
  const { n, columns, imColumns } = shape;
  device.counters.multiplyAdds += columnProducts(shape);
  if (isSmooth(n)) return smooth(device, x, out, shape);
  const length = smoothAtLeast(2 * n - 1);
  const chunk = Math.min(columns, Math.max(LANES, LANES * Math.floor(CHIRP_BYTES / (16 * length * LANES))));
  const chirp = chirpOf(n, length);
  within(device, chirp.byteLength, (factors) => {
    device.write(factors, chirp);
    within(device, 8 * length, (spectrum) => {
      const wrapped = { ...planesOf(factors, length, 1), reAt: 8 * n, imAt: 8 * n + 4 * length };
      smooth(device, wrapped, planesOf(spectrum, length, 1), { batches: 1, n: length, columns: 1, imColumns: 1 });
      for (let batch = 0; batch < shape.batches; batch++) {
        for (let first = 0; first < columns; first += chunk) {
          const count = Math.min(chunk, columns - first);
          const part = { batches: 1, n, columns: count, imColumns: Math.max(0, Math.min(count, imColumns - first)) };
          const [from, to] = [skip(x, batch * x.batch + first), skip(out, batch * out.batch + first)];
          convolve(device, from, to, part, length, factors, spectrum);
        }
      }
    });
  });
}

/** Multiply-adds of `launchColumns`, 4 for a complex product. */
export function columnProducts({ batches, n, columns }: Omit<Columns, 'imColumns'>): number {
  if (isSmooth(n)) return batches * columns * n * productsOf(n);
  const length = smoothAtLeast(2 * n - 1);
  const there = length * productsOf(length);
  return there + batches * columns * (2 * (there + 4 * length) + 8 * n);
}

/** `e^{−πi·j²/n}` for j < n, real parts then imaginary; then the same wrapped to `length` and divided by it. */
function chirpOf(n: number, length: number): Float32Array {
  const numbers = new Float32Array(2 * n + 2 * length);
  for (let j = 0; j < n; j++) {
    // j² exceeds 2⁵³ for no length that fits a tensor; the remainder keeps the angle exact
    const angle = (-Math.PI * ((j * j) % (2 * n))) / n;
    const [re, im] = [Math.cos(angle), Math.sin(angle)];
    [numbers[j], numbers[n + j]] = [re, im];
    for (const at of j === 0 ? [0] : [j, length - j]) {
      numbers[2 * n + at] = re / length;
      numbers[2 * n + length + at] = im / length;
    }
  }
  return numbers;
}

function convolve(
  device: Device,
  x: Planes,
  out: Planes,
  part: Columns,
  length: number,
  factors: DeviceBuffer,
  spectrum: DeviceBuffer,
): void {
  const { n, columns } = part;
  const whole = { batches: 1, n: length, columns, imColumns: columns };
  const chirp: Scale = { re: factors, im: argument(factors, 4 * n), rows: n };
  within(device, 8 * length * columns, (first) =>
    within(device, 8 * length * columns, (second) => {
      const [a, b] = [first, second].map((buffer) => planesOf(buffer, length, columns)) as [Planes, Planes];
      smooth(device, x, a, { ...part, n: length }, chirp);
      // with real and imaginary parts exchanged, a transform is its own inverse but for the factor
      const filter: Scale = { re: spectrum, im: argument(spectrum, 4 * length), rows: length };
      smooth(device, swap(a), b, whole, filter);
      within(device, 8, (one) => {
        device.write(one, Float32Array.of(1, 0));
        const pass: Pass = { radix: 1, m: 1, s: n, stages: 0, stagesAt: 0, rootsAt: 0 };
        runPass(device, one, pass, swap(b), out, { ...whole, n }, chirp);
      });
    }),
  );
}

const rowProducts = (batches: number, n: number, columns: number): number =>
  batches * (Math.floor(n / 2) + 1) * columns * productsOf(columns, true);

/** Multiply-adds of `launchMix`. */
export const mixProducts = (batches: number, n: number, columns: number): number =>
  columnProducts({ batches, n, columns: Math.ceil(columns / 2) }) + rowProducts(batches, n, columns);

/** Whether `launchMix` takes a matrix with so many columns. */
export const mixes = (columns: number): boolean => isSmooth(columns);

/** `out = Re(F_n·x·F_D)` for real matrices `x [batches, n, columns]`. */
export function launchMix(
  device: Device,
  x: DeviceBuffer,
  out: DeviceBuffer,
  batches: number,
  n: number,
  columns: number,
): void {
  const half = Math.ceil(columns / 2);
  within(device, 8 * batches * n * half, (packed) => {
    const planes = planesOf(packed, n, half);
    const halves = { re: x, im: x, reAt: 0, imAt: 4 * half, stride: columns, batch: n * columns };
    launchColumns(device, halves, planes, { batches, n, columns: half, imColumns: columns - half });
    const { passes, table } = planFourier(columns, true);
    const [pass] = passes as [Pass];
    const blocks = Math.ceil((Math.floor(n / 2) + 1) / LANES);
    within(device, table.byteLength, (numbers) => {
      device.write(numbers, table);
      const { kernel, pack } = rowsKernel(undefined);
      const args = pack({
        re: packed,
        im: argument(packed, planes.imAt),
        out,
        table: numbers,
        n,
        columns,
        half,
        blocks,
        stages: pass.stages,
        stagesAt: pass.stagesAt,
      });
      device.run(kernel, args, batches * blocks, { scratchBytes: scratchBytes(columns + 1) });
    });
    device.counters.multiplyAdds += rowProducts(batches, n, columns);
    device.counters.bytesMoved += 8 * batches * n * (half + columns / 2);
  });
}
