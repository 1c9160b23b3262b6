import type { I32, Pointer, Value, VectorBuilder, VF } from '../../codegen/vector.js';
import { bytesPerElement, type Dtype } from '../../core/dtype.js';
import { asFloat, loadLanes, storeLanes } from '../cast/convert.js';
import { typedKernel, type Read } from '../typed-kernel.js';
import { eachVector } from '../lanes.js';

export interface ScanSpec {
  /** Whether the scanned axis is the last: one element at a time, else a vector of columns. */
  readonly inner: boolean;
  readonly dtype: Dtype;
  /** `total`: only the sum of each chunk. */
  readonly pass: 'total' | 'scan';
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

const names = {
  x: 'pointer',
  /** What precedes each chunk, `[rows, chunks, columns]`; read only if `continues`. */
  starts: 'pointer',
  out: 'pointer',
  continues: 'i32',
  rows: 'i32',
  length: 'i32',
  columns: 'i32',
  chunk: 'i32',
  chunks: 'i32',
  /** Rows of one task with `inner`, else columns. */
  perTask: 'i32',
} as const;

/** Integers are summed as i32 and wrap; floats are summed as f32. */
export const sumDtype = (dtype: Dtype): 'i32' | 'f32' => (dtype === 'i32' || dtype === 'u8' ? 'i32' : 'f32');
/** Floats keep their storage. */
export const scanDtype = (dtype: Dtype): Dtype => (sumDtype(dtype) === 'i32' ? 'i32' : dtype);

/** Running sums of `x[r, n, k]` over the n of a chunk. Tasks are row groups × chunks, or rows × chunks × column groups. */
export const scanKernel = typedKernel({
  name: 'scan',
  // along a row each number waits for the one before
  vectorOn: ({ inner }: ScanSpec) => (inner ? 'invocation' : 'workgroup'),
  key: ({ inner, dtype, pass, exclusive, reverse }: ScanSpec) =>
    `${inner ? 'inner' : 'outer'} ${dtype} ${pass}${exclusive ? ' exclusive' : ''}${reverse ? ' reverse' : ''}`,
  parameters: names,
  text: (k, spec, p) => (spec.inner ? rowsText : columnsText)(k, spec, p),
});

type Number = Value<'f32' | 'i32' | 'vf' | 'vi'>;

/** Where one line of numbers lies: element n at `pointer + n·step` elements. */
interface Line {
  readonly begin: I32;
  readonly end: I32;
  readonly load: (n: I32) => Number;
  readonly start: () => Number;
  readonly write: (n: I32, sum: Number) => void;
  readonly finish: (sum: Number) => void;
}

function scanLine(
  k: VectorBuilder,
  spec: ScanSpec,
  p: Read<typeof names>,
  line: Line,
  zero: 'f32' | 'i32' | 'vf' | 'vi',
): void {
  const sum = k.variable(zero, 0);
  if (spec.pass === 'scan') k.if(p.continues, () => k.assign(sum, line.start()));
  k.loop(line.begin, line.end, (step) => {
    const n = spec.reverse ? k.sub(k.sub(k.add(line.begin, line.end), 1), step) : step;
    const next = k.add(sum as Value<'f32'>, line.load(n) as Value<'f32'>) as Number;
    if (spec.pass === 'scan') line.write(n, spec.exclusive ? sum : next);
    k.assign(sum, next);
  });
  if (spec.pass === 'total') line.finish(sum);
}

function rowsText(k: VectorBuilder, spec: ScanSpec, p: Read<typeof names>): void {
  const [size, total] = [bytesPerElement[spec.dtype], sumDtype(spec.dtype)];
  const out = scanDtype(spec.dtype);
  k.loop(k.begin, k.end, (task) => {
    const chunk = k.rem(task, p.chunks);
    const first = k.mul(k.div(task, p.chunks), p.perTask);
    const begin = k.mul(chunk, p.chunk);
    k.loop(first, k.min(k.add(first, p.perTask), p.rows), (row) => {
      const at = (n: I32): I32 => k.add(k.mul(row, p.length), n);
      const chunkAt = k.add(k.mul(row, p.chunks), chunk);
      const line: Line = {
        begin,
        end: k.min(k.add(begin, p.chunk), p.length),
        load: (n) => loadNumber(k, spec.dtype, k.offset(p.x, at(n), size)),
        start: () => loadNumber(k, total, k.offset(p.starts, chunkAt, 4)),
        write: (n, sum) => storeNumber(k, out, k.offset(p.out, at(n), bytesPerElement[out]), sum),
        finish: (sum) => storeNumber(k, total, k.offset(p.out, chunkAt, 4), sum),
      };
      scanLine(k, spec, p, line, total);
    });
  });
}

function columnsText(k: VectorBuilder, spec: ScanSpec, p: Read<typeof names>): void {
  const [size, total] = [bytesPerElement[spec.dtype], sumDtype(spec.dtype)];
  const out = scanDtype(spec.dtype);
  const groups = k.div(k.add(p.columns, k.sub(p.perTask, 1)), p.perTask);
  k.loop(k.begin, k.end, (task) => {
    const firstColumn = k.mul(k.rem(task, groups), p.perTask);
    const rest = k.div(task, groups);
    const chunk = k.rem(rest, p.chunks);
    const row = k.div(rest, p.chunks);
    const begin = k.mul(chunk, p.chunk);
    eachVector(k, firstColumn, k.min(k.add(firstColumn, p.perTask), p.columns), (column, count) => {
      const at = (n: I32): I32 => k.add(k.mul(k.add(k.mul(row, p.length), n), p.columns), column);
      const chunkAt = k.add(k.mul(k.add(k.mul(row, p.chunks), chunk), p.columns), column);
      const line: Line = {
        begin,
        end: k.min(k.add(begin, p.chunk), p.length),
        load: (n) => loadLanes(k, spec.dtype, k.offset(p.x, at(n), size), 0, count),
        start: () => loadLanes(k, total, k.offset(p.starts, chunkAt, 4), 0, count),
        write: (n, sum) => storeLanes(k, out, k.offset(p.out, at(n), bytesPerElement[out]), sum as VF, 0, count),
        finish: (sum) => storeLanes(k, total, k.offset(p.out, chunkAt, 4), sum as VF, 0, count),
      };
      scanLine(k, spec, p, line, total === 'f32' ? 'vf' : 'vi');
    });
  });
}

function loadNumber(k: VectorBuilder, dtype: Dtype, from: Pointer): Value<'f32'> | Value<'i32'> {
  if (dtype === 'f32') return k.loadF32(from);
  if (dtype === 'i32') return k.loadI32(from);
  if (dtype === 'u8') return k.loadU8(from);
  return k.lane(asFloat(k, loadLanes(k, dtype, from, 0, k.constant('i32', 1))), 0);
}

function storeNumber(k: VectorBuilder, dtype: Dtype, to: Pointer, value: Number): void {
  if (dtype === 'f32' || dtype === 'i32') return k.store(to, value);
  storeLanes(k, dtype, to, k.splat(value as Value<'f32'>), 0, k.constant('i32', 1));
}
