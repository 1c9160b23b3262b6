import { gpuModule } from '../../codegen/gpu.js';
import type { I32, VectorBuilder, Variable } from '../../codegen/vector.js';
import { bytesPerElement } from '../../core/dtype.js';
import { eachVector } from '../lanes.js';
import { typedKernel, type Read } from '../typed-kernel.js';
import { constantCount } from './epilogue.js';
import { panelColumns } from './layout.js';
import { multiplyKey, multiplyPart, productNames, workspace, type MultiplySpec } from './steps.js';

const texts = gpuModule(() => import('./gpu.js'));

// Rows are sorted by their group, and each group has a matrix of its own. Where the groups end is known to the device alone, so tasks
// are those of the worst case, and each finds by itself what there is for it to do: what it does depends on the ends, never on threads.

const groupedNames = {
  ...productNames,
  /** `[groups]`: rows before each end are of its group or one before. */
  ends: 'pointer',
  groups: 'i32',
  /** Rows in all; those after the last end are of no group. */
  count: 'i32',
  blockRows: 'i32',
} as const;
type Parameters = Read<typeof groupedNames>;

/** Where group `group` ends, not before `start`: ends that fall, or lie outside, move no row to two groups. */
const endOf = (k: VectorBuilder, p: Parameters, group: I32, start: I32): I32 =>
  k.max(start, k.min(p.count, k.loadI32(k.offset(p.ends, group, 4))));

/** Some rows of one group. */
interface Block {
  /** Not below `groups`: rows of no group. */
  readonly group: I32;
  readonly first: I32;
  /** 0 where there is nothing to do. */
  readonly rows: I32;
}

/** The block of a number: those of the first group come first, and those of no group last. */
function blockOf(k: VectorBuilder, p: Parameters, index: I32): Block {
  const int = (value: I32 | number): Variable<'i32'> => k.variable('i32', value);
  const [left, start, group, first, rows] = [int(index), int(0), int(p.groups), int(0), int(0)];
  k.loop(0, k.add(p.groups, 1), (own) => {
    const end = int(p.count);
    k.if(k.lt(own, p.groups), () => k.assign(end, endOf(k, p, own, start)));
    const blocks = k.div(k.add(k.sub(end, start), k.sub(p.blockRows, 1)), p.blockRows);
    k.if(k.and(k.ge(left, 0), k.lt(left, blocks)), () => {
      k.assign(group, own);
      k.assign(first, k.add(start, k.mul(left, p.blockRows)));
      k.assign(rows, k.min(k.sub(end, first), p.blockRows));
    });
    k.assign(left, k.sub(left, blocks));
    k.assign(start, end);
  });
  return { group, first, rows };
}

/**
 * `out[r] = activation(a[r]·b[g] + bias[g])` for rows r of group g, and 0 for those of none. Tasks: blocks of rows × ranges of columns,
 * `⌈count/blockRows⌉ + groups + 1` blocks, since each group may leave one that is not full.
 */
export const groupedKernel = typedKernel({
  name: 'matmul grouped',
  key: multiplyKey,
  parameters: groupedNames,
  constants: ({ epilogue }: MultiplySpec) => constantCount(epilogue),
  gpu: (_, spec, p, constant) => texts().groupedText(spec, p, constant),
  text: (k, spec, p, firstConstant) => {
    const space = workspace(k, spec, p);
    k.loop(k.begin, k.end, (task) => {
      const range = k.rem(task, p.ranges);
      const { group, first, rows } = blockOf(k, p, k.div(task, p.ranges));
      const zero = k.constant('i32', 0);
      k.if(k.gt(rows, 0), () =>
        k.if(
          k.lt(group, p.groups),
          () =>
            multiplyPart(k, spec, p, firstConstant, space, {
              aStart: k.mul(first, p.aRow),
              bMatrix: group,
              bias: spec.bias === undefined ? p.bias : k.offset(p.bias, k.mul(group, p.N), bytesPerElement[spec.bias]),
              outRow: first,
              rows,
              range,
              kFirst: zero,
              kLast: p.K,
            }),
          () => zeroRows(k, spec, p, first, rows, range),
        ),
      );
    });
  },
});

/** Rows of no group. */
function zeroRows(
  k: VectorBuilder,
  { epilogue }: MultiplySpec,
  p: Parameters,
  first: I32,
  rows: I32,
  range: I32,
): void {
  const columns = k.mul(p.panelsPerRange, panelColumns(k.width));
  const column = k.mul(range, columns);
  const zeros = k.constant('vf', 0);
  k.loop(0, rows, (row) => {
    const at = k.mul(k.add(first, row), p.N);
    eachVector(k, column, k.min(p.N, k.add(column, columns)), (i, count) => {
      const element = k.add(at, i);
      k.store(k.offset(p.out, element, 4), zeros, 0, count);
      if (epilogue.keep) k.store(k.offset(p.kept, element, 4), zeros, 0, count);
    });
  });
}

const innerNames = { ...groupedNames, M: 'i32', blocks: 'i32' } as const;

/**
 * `out[g] = aᵀ·b` over the rows of group g, `a [count, M]` and `b [count, N]`: the gradient of the matrices; 0 where a group has no rows. Tasks:
 * groups × blocks of M × ranges of N, one inner sum each.
 */
export const groupedInnerKernel = typedKernel({
  name: 'matmul grouped inner',
  key: multiplyKey,
  parameters: innerNames,
  gpu: (_, spec, p) => texts().groupedInnerText(spec, p),
  text: (k, spec: MultiplySpec, p, firstConstant) => {
    const space = workspace(k, spec, p);
    k.loop(k.begin, k.end, (task) => {
      const rest = k.div(task, p.ranges);
      const m0 = k.mul(k.rem(rest, p.blocks), p.blockRows);
      const group = k.div(rest, p.blocks);
      const start = k.variable('i32', 0);
      k.loop(0, group, (own) => k.assign(start, endOf(k, p, own, start)));
      multiplyPart(k, spec, p, firstConstant, space, {
        aStart: k.mul(m0, p.aRow),
        bMatrix: k.constant('i32', 0),
        bias: p.bias,
        outRow: k.add(k.mul(group, p.M), m0),
        rows: k.min(k.sub(p.M, m0), p.blockRows),
        range: k.rem(task, p.ranges),
        kFirst: start,
        kLast: endOf(k, p, group, start),
      });
    });
  },
});
