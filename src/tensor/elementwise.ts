import { key, liftConstants, topological, type Expression } from '../codegen/expression/index.js';
import type { Dtype } from '../core/dtype.js';
import { planElementwise } from '../kernels/elementwise/plan.js';
import { elementwise } from '../kernels/elementwise/cpu.js';
import type { Kernel } from '../codegen/kernel.js';
import { writable, type Tensor } from './tensor.js';

interface Prepared {
  readonly expression: Expression;
  readonly expressionKey: string;
  readonly constants: readonly ('f32' | 'i32')[];
  readonly values: readonly number[];
  readonly types: ReadonlyMap<string, 'f32' | 'i32'>;
  /** By storage and broadcasting of the inputs and the output. */
  readonly kernels: Map<string, Kernel>;
}
/** Expressions that operations build once are looked up by identity, others by structure. */
const prepared = new WeakMap<Expression, Prepared>();
const kernelsOf = new Map<string, Map<string, Kernel>>();

function prepare(expression: Expression): Prepared {
  const known = prepared.get(expression);
  if (known !== undefined) return known;
  const lifted = liftConstants(expression);
  const types = new Map<string, 'f32' | 'i32'>();
  for (const node of topological(expression))
    if (node.op === 'variable') types.set(node.name!, node.type as 'f32' | 'i32');
  const expressionKey = key(lifted.expression);
  const kernels = kernelsOf.get(expressionKey) ?? new Map<string, Kernel>();
  kernelsOf.set(expressionKey, kernels);
  const result = {
    expression: lifted.expression,
    expressionKey,
    constants: lifted.types,
    values: lifted.values,
    types,
    kernels,
  };
  prepared.set(expression, result);
  return result;
}

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
  const { expression: lifted, expressionKey, constants, values, types, kernels } = prepare(expression);
  const used = inputs.map((_, i) => i).filter((i) => types.has(`x${i}`));
  const tensors = used.map((i) => inputs[i]!);
  const plan = planElementwise(
    out.shape,
    tensors.map((tensor) => tensor.shape),
  );
  const outer = plan.outer.length;
  const layout = `${dtype}${outer}${tensors.map((tensor, at) => tensor.dtype + (plan.advances[at] ? '' : '!')).join()}`;
  let kernel = kernels.get(layout);
  if (kernel === undefined) {
    const described = used.map((i, at) => ({
      name: `x${i}`,
      type: types.get(`x${i}`)!,
      dtype: inputs[i]!.dtype,
      advances: plan.advances[at]!,
    }));
    kernel = elementwise({ expression: lifted, expressionKey, constants, inputs: described, dtype, outer });
    kernels.set(layout, kernel);
  }
  const numbers = [
    plan.inner,
    plan.rows,
    plan.rowsPerTask,
    plan.chunk,
    plan.chunksPerRow,
    ...plan.outer,
    ...plan.strides.flat(),
  ];
  device.run(kernel, [writable(out), ...tensors.map((tensor) => tensor.buffer), ...numbers, ...values], plan.tasks);
  device.counters.bytesMoved += out.byteLength + tensors.reduce((bytes, tensor) => bytes + tensor.byteLength, 0);
}
