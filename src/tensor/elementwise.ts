import { key, liftConstants, topological, type Expression } from '../codegen/expression/index.js';
import { memoised } from '../core/memo.js';
import type { Dtype } from '../core/dtype.js';
import { planElementwise } from '../kernels/elementwise/plan.js';
import { taskElements } from '../kernels/task-size.js';
import { elementwise, type ElementwiseInput, type ElementwiseSpec } from '../kernels/elementwise/cpu.js';
import { elementwiseRows } from '../kernels/elementwise/rows.js';
import type { Kernel } from '../codegen/kernel.js';
import { writable, type Tensor } from './tensor.js';

type Layout = readonly [inputs: readonly ElementwiseInput[], dtype: Dtype, outer: number];

/** An expression, its constants lifted: one kernel serves them all. */
interface Prepared {
  readonly values: readonly number[];
  readonly types: ReadonlyMap<string, 'f32' | 'i32'>;
  /** By storage and broadcasting of the inputs and the output. */
  readonly kernel: (...layout: Layout) => Kernel;
  /** Of rows of tables, by which inputs are lists of rows. */
  readonly rowsKernel: (listed: readonly boolean[]) => Kernel;
}

/** Expressions that operations build once are found by identity, the kernels of others by structure. */
const prepare = memoised((expression: Expression): Prepared => {
  const { expression: lifted, types: constants, values } = liftConstants(expression);
  const variables = topological(expression).filter(({ op }) => op === 'variable');
  const types = new Map(variables.map(({ name, type }) => [name!, type as 'f32' | 'i32']));
  const [expressionKey, names] = [key(lifted), [...types.keys()].sort()];
  return {
    values,
    types,
    kernel: kernelsOf(expressionKey, lifted, constants),
    rowsKernel: rowsKernelsOf(expressionKey, lifted, constants, names),
  };
});

const kernelsOf = memoised(
  (expressionKey: string, expression: Expression, constants: ElementwiseSpec['constants']): Prepared['kernel'] =>
    memoised(
      (...[inputs, dtype, outer]: Layout) =>
        elementwise({ expression, expressionKey, constants, inputs, dtype, outer }),
      { by: (inputs, dtype, outer) => [dtype, outer, inputs.map(({ dtype, advances }) => `${dtype}${advances}`)] },
    ),
  { by: (expressionKey) => [expressionKey] },
);

const rowsKernelsOf = memoised(
  (
    expressionKey: string,
    expression: Expression,
    constants: ElementwiseSpec['constants'],
    names: readonly string[],
  ): Prepared['rowsKernel'] =>
    memoised(
      (listed: readonly boolean[]) => {
        const inputs = names.map((name, i) => ({ name, listed: listed[i]! }));
        return elementwiseRows({ expression, expressionKey, constants, inputs });
      },
      { by: (listed) => [...listed] },
    ),
  { by: (expressionKey) => [expressionKey] },
);

/**
 * Writes `expression` of `inputs` to every element of `out`, whose shape the inputs broadcast to. Input i is the
 * variable `x<i>`. No shape is checked and nothing is recorded on the tape.
 */
export function runElementwise(
  expression: Expression,
  inputs: readonly Tensor[],
  out: Tensor,
  dtype: Dtype = out.dtype,
): void {
  const { device } = out;
  const { values, types, kernel } = prepare(expression);
  const used = inputs.map((_, i) => i).filter((i) => types.has(`x${i}`));
  const tensors = used.map((i) => inputs[i]!);
  const plan = planElementwise(
    out.shape,
    tensors.map((tensor) => tensor.shape),
    taskElements(device.info),
  );
  const outer = plan.outer.length;
  const described = used.map((i, at) => ({
    name: `x${i}`,
    type: types.get(`x${i}`)!,
    dtype: inputs[i]!.dtype,
    advances: plan.advances[at]!,
  }));
  const numbers = [
    plan.inner,
    plan.rows,
    plan.rowsPerTask,
    plan.chunk,
    plan.chunksPerRow,
    ...plan.outer,
    ...plan.strides.flat(),
  ];
  device.run(
    kernel(described, dtype, outer),
    [writable(out), ...tensors.map((tensor) => tensor.buffer), ...numbers, ...values],
    plan.tasks,
  );
  device.counters.bytesMoved += out.byteLength + tensors.reduce((bytes, tensor) => bytes + tensor.byteLength, 0);
}

/** Elements of a task of whole rows. */
const CHUNK = 16384;

/** Rows of a table by number, each once; numbers from the table's length on are of no row. */
export interface TableRows {
  /** `[C]`, i32. */
  readonly indices: Tensor;
  /** `[C, D]`, f32. */
  readonly rows: Tensor;
}

/**
 * Writes `expression` of `inputs` to those rows of `out [N, D]` that are listed: of an input that is `list.rows` row r is read, of all others,
 * `[N, D]` f32 as `out` is, row `indices[r]`. Nothing else is read or written, no shape is checked and nothing is recorded on the tape.
 */
export function runElementwiseRows(
  expression: Expression,
  inputs: readonly Tensor[],
  out: Tensor,
  list: TableRows,
): void {
  const { device } = out;
  const { values, types, rowsKernel } = prepare(expression);
  const used = [...types.keys()].sort().map((name) => inputs[Number(name.slice(1))]!);
  const [rows, columns] = [list.indices.size, list.rows.shape[1]!];
  const rowsPerTask = Math.max(1, Math.floor(CHUNK / columns));
  device.run(
    rowsKernel(used.map((input) => input === list.rows)),
    [
      writable(out),
      list.indices.buffer,
      ...used.map((input) => input.buffer),
      rows,
      columns,
      out.shape[0]!,
      rowsPerTask,
      ...values,
    ],
    Math.ceil(rows / rowsPerTask),
  );
  device.counters.bytesMoved += 4 * rows * (1 + columns * (1 + used.length));
}
