import { OptionError } from '../core/errors.js';
import { checkValues, int32From, oneOf } from '../core/requirements.js';
import { Mask } from './mask.js';
import { place } from './place.js';

const { q, k } = place;
const parts = ['union', 'local', 'summary'] as const;
const [aStride, aPart] = [int32From(1), oneOf(parts)];

/** Which of the two patterns of a factorised attention: one of them, or their union ("merged" in the paper). */
export type Part = (typeof parts)[number];

/**
 * The strided pattern of the Sparse Transformer (Child, Gray, Radford, Sutskever 2019, arXiv 1904.10509): a window,
 * `|q − k| < stride` (`local`), and every stride-th key, `(q − k) mod stride = 0` (`summary`).
 *
 * Relative to the paper: both directions; combine with `causal()` for its sets. `local` is then the code's `stride` keys
 * including the query's own; the paper's stride + 1 give the same union.
 *
 * @throws OptionError unless `stride` is a whole number of at least 1.
 */
export function strided(options: { readonly stride: number; readonly part?: Part }): Mask {
  checkValues('strided', options, { stride: aStride, part: aPart }, ['stride']);
  const { stride, part = 'union' } = options;
  const local = q.sub(k).abs().lt(stride);
  const summary = q.sub(k).mod(stride).eq(0);
  return new Mask(
    name('strided', `stride: ${stride}`, part),
    () => ({ local, summary, union: local.or(summary) })[part],
  );
}

/**
 * The fixed pattern of the Sparse Transformer: the query's own block of `stride` keys (`local`), and the last
 * `columns` keys of every block (`summary`). `group` g takes the `columns` keys that are g · `columns` before the last ones:
 * the paper lets heads summarise different parts of a block.
 *
 * Relative to the paper: positions count from 0, so the summary is `k mod stride ≥ stride − columns`; both directions.
 *
 * @throws OptionError unless `stride` ≥ 1, `columns` ≥ 1 and `group` ≥ 0 are integers and the group is inside the block.
 */
export function fixed(options: {
  readonly stride: number;
  readonly columns: number;
  readonly group?: number;
  readonly part?: Part;
}): Mask {
  const whole = { stride: aStride, columns: int32From(1), group: int32From(0), part: aPart };
  checkValues('fixed', options, whole, ['stride', 'columns']);
  const { stride, columns, group = 0, part = 'union' } = options;
  if (columns > stride)
    throw new OptionError(`fixed: columns must be at most stride; got columns ${columns}, stride ${stride}.`);
  const first = stride - (group + 1) * columns;
  if (first < 0) {
    throw new OptionError(
      `fixed: group ${group} of ${columns} columns is outside the stride of ${stride}; the last one is ${Math.floor(stride / columns) - 1}.`,
    );
  }
  const local = q.floorDiv(stride).eq(k.floorDiv(stride));
  const inBlock = k.mod(stride);
  const summary = group === 0 ? inBlock.ge(first) : inBlock.ge(first).and(inBlock.lt(first + columns));
  const text = `stride: ${stride}, columns: ${columns}${group === 0 ? '' : `, group: ${group}`}`;
  return new Mask(name('fixed', text, part), () => ({ local, summary, union: local.or(summary) })[part]);
}

/** Block-diagonal: blocks of `size` positions see themselves, `⌊q / size⌋ = ⌊k / size⌋`. */
export function blocks(options: { readonly size: number }): Mask {
  checkValues('blocks', options, { size: int32From(1) }, ['size']);
  const { size } = options;
  return new Mask(`blocks({ size: ${size} })`, () => q.floorDiv(size).eq(k.floorDiv(size)));
}

function name(builder: string, options: string, part: Part): string {
  return `${builder}({ ${options}${part === 'union' ? '' : `, part: '${part}'`} })`;
}
