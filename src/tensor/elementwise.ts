import { key, liftConstants, topological, type Expression } from '../codegen/expression/index.js';
import { memoised } from '../core/memo.js';
import type { Dtype } from '../core/dtype.js';
import { planElementwise } from '../kernels/elementwise/plan.js';
import { elementwise, type ElementwiseInput, type ElementwiseSpec } from '../kernels/elementwise/cpu.js';
import type { Kernel } from '../codegen/kernel.js';
import { writable, type Tensor } from './tensor.js';

type Layout = readonly [inputs: readonly ElementwiseInput[], dtype: Dtype, outer: number];

/** An expression, its constants lifted: one kernel serves them all. */
interface Prepared {
  readonly values: readonly number[];
  readonly types: ReadonlyMap<string, 'f32' | 'i32'>;
  /** By storage and broadcasting of the inputs and the output. */
  readonly kernel: (...layout: Layout) => Kernel;
}

/** Expressions that operations build once are found by identity, the kernels of others by structure. */
const prepare = memoised((expression: Expression): Prepared => {
  const { expression: lifted, types: constants, values } = liftConstants(expression);
  const variables = topological(expression).filter(({ op }) => op === 'variable');
  const types = new Map(variables.map(({ name, type }) => [name!, type as 'f32' | 'i32']));
  return { values, types, kernel: kernelsOf(key(lifted), lifted, constants) };
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
