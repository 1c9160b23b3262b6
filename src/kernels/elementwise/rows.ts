import type { Kernel } from '../../codegen/kernel.js';
import { lowerVector, type Lowered } from '../../codegen/lower.js';
import type { I32, Pointer, VectorBuilder } from '../../codegen/vector.js';
import { eachVector } from '../lanes.js';
import type { ElementwiseSpec } from './cpu.js';

/** `out[indices[r]] = expression(…)` for rows of f32 tables and lists of rows. Sizes are arguments. */
export interface RowsSpec extends Pick<ElementwiseSpec, 'expression' | 'expressionKey' | 'constants'> {
  /** The expression's variables; `listed` is read at r, a table at `indices[r]`. */
  readonly inputs: readonly { readonly name: string; readonly listed: boolean }[];
}

/**
 * Arguments: out, indices, inputs, rows, columns, length, rowsPerTask, constants. Indices from `length` on are of no row. Tasks are groups of
 * rows; no two indices may be one.
 */
export function elementwiseRows(spec: RowsSpec): Kernel {
  const { inputs, constants, expressionKey } = spec;
  const pointers = new Array<'pointer'>(2 + inputs.length).fill('pointer');
  return {
    name: 'elementwise rows',
    key: `(${inputs.map(({ listed }) => (listed ? 'list' : 'table')).join(',')}):${expressionKey}`,
    parameters: [...pointers, 'i32', 'i32', 'i32', 'i32', ...constants],
    cpu: (k) => text(k, spec),
  };
}

/** Lines of a row that are fetched before it is come to; the processor finds the rest by itself. */
const AHEAD = 4;

function text(k: VectorBuilder, { inputs, constants, expression }: RowsSpec): void {
  const [out, indices] = [k.parameter(0, 'pointer'), k.parameter(1, 'pointer')];
  const pointers = inputs.map((_, i) => k.parameter(2 + i, 'pointer'));
  const first = 2 + inputs.length;
  const [rows, columns, length, rowsPerTask] = [0, 1, 2, 3].map((i) => k.parameter(first + i, 'i32')) as [
    I32,
    I32,
    I32,
    I32,
  ];
  const values = constants.map((kind, i) =>
    kind === 'f32' ? k.parameter(first + 4 + i, 'f32') : k.parameter(first + 4 + i, 'i32'),
  );
  const at = (base: Pointer, row: I32): Pointer => k.offset(base, k.mul(row, columns), 4);

  k.loop(k.begin, k.end, (task) => {
    const begin = k.mul(task, rowsPerTask);
    k.loop(begin, k.min(k.add(begin, rowsPerTask), rows), (row) => {
      const index = k.loadI32(k.offset(indices, row, 4));
      // the next row of a table is elsewhere: its lines are on the way while this one is computed
      const next = k.loadI32(k.offset(indices, k.min(k.add(row, 1), k.sub(rows, 1)), 4));
      pointers.forEach((base, i) => {
        if (!inputs[i]!.listed) for (let line = 0; line < AHEAD; line++) k.prefetch(at(base, next), 64 * line, 'write');
      });
      k.if(k.lt(index, length), () => {
        const bases = pointers.map((base, i) => at(base, inputs[i]!.listed ? row : index));
        const target = at(out, index);
        eachVector(k, k.constant('i32', 0), columns, (column, count) => {
          const variables: Record<string, Lowered> = {};
          inputs.forEach(({ name }, i) => (variables[name] = k.loadVF(k.offset(bases[i]!, column, 4), 0, count)));
          const result = lowerVector(k, expression, { variables, parameter: (slot) => values[slot]! });
          k.store(k.offset(target, column, 4), result, 0, count);
        });
      });
    });
  });
}
