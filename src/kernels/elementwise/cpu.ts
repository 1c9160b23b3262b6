import type { Expression } from '../../codegen/expression/index.js';
import { lowerVector, type Lowered } from '../../codegen/lower.js';
import type { I32, VectorBuilder, VF, VI } from '../../codegen/vector.js';
import { bytesPerElement, type Dtype } from '../../core/dtype.js';
import { offsetsAt } from '../axes.js';
import { asFloat, loadLanes, loadSplat, storeLanes } from '../cast/convert.js';
import type { Kernel, ParameterKind } from '../../codegen/kernel.js';
import { eachVector } from '../lanes.js';

export interface ElementwiseInput {
  /** Name and type of the expression's variable; integers are converted for an f32 variable. */
  readonly name: string;
  readonly type: 'f32' | 'i32';
  readonly dtype: Dtype;
  readonly advances: boolean;
}

/** `out[i] = expression(x0[i], x1[i], …)` with broadcast inputs. Sizes and steps are arguments. */
export interface ElementwiseSpec {
  /** Constants are lifted, so they are arguments too. */
  readonly expression: Expression;
  readonly expressionKey: string;
  readonly constants: readonly ('f32' | 'i32')[];
  readonly inputs: readonly ElementwiseInput[];
  readonly dtype: Dtype;
  /** Number of axes outside a row. */
  readonly outer: number;
}

/** Arguments: out, inputs, inner, rows, rowsPerTask, chunk, chunksPerRow, outer extents, steps per input, constants. */
export function elementwise(spec: ElementwiseSpec): Kernel {
  const { inputs, outer, constants } = spec;
  const layout = inputs
    .map(({ dtype, type, advances }) => `${dtype}${type === 'i32' ? 'i' : ''}${advances ? '' : '!'}`)
    .join(',');
  const integers = new Array<ParameterKind>(5 + outer + inputs.length * outer).fill('i32');
  return {
    name: 'elementwise',
    key: `${spec.dtype}(${layout})${outer}:${spec.expressionKey}`,
    parameters: ['pointer', ...inputs.map(() => 'pointer' as const), ...integers, ...constants],
    cpu: (k) => text(k, spec),
  };
}

function text(k: VectorBuilder, spec: ElementwiseSpec): void {
  const { inputs, outer, dtype, constants } = spec;
  const first = 1 + inputs.length;
  const integer = (i: number): I32 => k.parameter(first + i, 'i32');
  const out = k.parameter(0, 'pointer');
  const pointers = inputs.map((_, i) => k.parameter(1 + i, 'pointer'));
  const [inner, rows, rowsPerTask, chunk, chunksPerRow] = [0, 1, 2, 3, 4].map(integer) as [I32, I32, I32, I32, I32];
  const extents = Array.from({ length: outer }, (_, axis) => integer(5 + axis));
  const steps = inputs.map((_, i) => extents.map((_, axis) => integer(5 + outer + i * outer + axis)));
  const constantsFrom = first + 5 + outer + inputs.length * outer;
  const values = constants.map((kind, i) =>
    kind === 'f32' ? k.parameter(constantsFrom + i, 'f32') : k.parameter(constantsFrom + i, 'i32'),
  );

  const row = (index: I32, begin: I32, end: I32): void => {
    const offsets = offsetsAt(k, index, extents, steps);
    const bases = pointers.map((pointer, i) => {
      const offset = offsets[i];
      return offset === undefined ? pointer : k.offset(pointer, offset, bytesPerElement[inputs[i]!.dtype]);
    });
    const target = k.offset(out, k.mul(index, inner), bytesPerElement[dtype]);
    const variables: Record<string, Lowered> = {};
    const load = (i: number, at: I32 | undefined, count?: I32): void => {
      const { name, type, dtype: stored } = inputs[i]!;
      const raw =
        at === undefined
          ? loadSplat(k, stored, bases[i]!)
          : loadLanes(k, stored, k.offset(bases[i]!, at, bytesPerElement[stored]), 0, count);
      variables[name] = type === 'f32' ? asFloat(k, raw) : raw;
    };
    inputs.forEach(({ advances }, i) => {
      if (!advances) load(i, undefined);
    });
    const step = (at: I32, count?: I32): void => {
      inputs.forEach(({ advances }, i) => {
        if (advances) load(i, at, count);
      });
      const result = lowerVector(k, spec.expression, { variables, parameter: (slot) => values[slot]! });
      const stored: VF | VI = spec.expression.type === 'bool' ? k.and(result as VI, 1) : result;
      storeLanes(k, dtype, k.offset(target, at, bytesPerElement[dtype]), stored, 0, count);
    };
    eachVector(k, begin, end, step);
  };

  k.loop(k.begin, k.end, (task) => {
    const firstRow = k.mul(k.div(task, chunksPerRow), rowsPerTask);
    const lastRow = k.min(k.add(firstRow, rowsPerTask), rows);
    const begin = k.mul(k.rem(task, chunksPerRow), chunk);
    const end = k.min(k.add(begin, chunk), inner);
    k.loop(firstRow, lastRow, (index) => row(index, begin, end));
  });
}
