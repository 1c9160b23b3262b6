import { OptionError } from '../core/errors.js';
import { show } from '../core/shape.js';
import { checkChunk, checkKernel, checkWords, NOWHERE } from '../kernels/gather/check.js';
import { integersOf } from '../tensor/integers.js';
import { produce, type Tensor } from '../tensor/index.js';

/** What the indices of a call may be. */
export interface IndexRule {
  /** `indices`, `targets`: what the caller named them. */
  readonly name: string;
  /** Indices must be from 0 to `bound − 1`. */
  readonly bound: number;
  /** What has that many entries, such as `axis 0 of x=[5,3]`. */
  readonly of: string;
  readonly ignore?: number | undefined;
}

/**
 * Indices that are safe to read with. Where the host knows their range they are the given ones; else the device checks them, and
 * the result is a copy in which those out of range are 0, so that nothing foreign is read before the error is noticed.
 *
 * @throws OptionError that names an index out of range, its position and the bound: at once where the host knows it or the device
 * has run when it is asked, else the next time that something is awaited.
 */
export function checkIndices(who: string, indices: Tensor, rule: IndexRule): Tensor {
  if (indices.dtype !== 'i32') {
    throw new OptionError(
      `${who}: ${rule.name} must be i32; got ${indices.dtype}${show(indices.shape)}. Use cast first.`,
    );
  }
  const { bound, ignore } = rule;
  const facts = integersOf(indices);
  if (facts === undefined) return checkedOnDevice(who, indices, rule);
  const negative = [...facts.negatives].find(([value]) => value !== ignore);
  const above = facts.high >= bound && facts.high !== ignore;
  if (negative === undefined && facts.high < bound) return indices;
  // what is below 0 or at most `high` may not be in this very tensor, and what is below an ignored `high` is not known
  if (facts.highAt === undefined || (negative === undefined && !above)) return checkedOnDevice(who, indices, rule);
  const [value, at] = negative === undefined ? [facts.high, facts.highAt] : [negative[0], negative[1].at];
  throw outOfRange(who, indices.shape, rule, value, at);
}

/** How many indices are not `ignore`, where the host knows. */
export function countedOnHost(indices: Tensor, ignore: number | undefined): number | undefined {
  if (ignore === undefined) return indices.size;
  const facts = integersOf(indices);
  if (facts?.highAt === undefined || ignore >= 0) return undefined;
  return indices.size - (facts.negatives.get(ignore)?.count ?? 0);
}

function checkedOnDevice(who: string, indices: Tensor, rule: IndexRule): Tensor {
  const { device, size, shape } = indices;
  const tasks = Math.ceil(size / checkChunk);
  return produce(shape, 'i32', device, (safe) => {
    const found = device.allocate(4 * checkWords * tasks, 'workspace');
    try {
      const { kernel, pack } = checkKernel({ ignores: rule.ignore !== undefined });
      const args = { indices: indices.buffer, safe: safe.buffer, found, count: size, bound: rule.bound };
      device.run(kernel, pack({ ...args, ignore: rule.ignore ?? 0 }), tasks);
      device.guard(found, (bytes) => {
        const words = new Int32Array(bytes.buffer, bytes.byteOffset, checkWords * tasks);
        for (let task = 0; task < tasks; task++) {
          const [at, value] = [words[checkWords * task]!, words[checkWords * task + 1]!];
          if (at !== NOWHERE) throw outOfRange(who, shape, rule, value, at);
        }
      });
    } finally {
      device.free(found);
    }
  });
}

function outOfRange(who: string, shape: readonly number[], rule: IndexRule, value: number, at: number): OptionError {
  const { name, bound, of, ignore } = rule;
  const besides = ignore === undefined ? '' : `, or ${ignore} to be ignored`;
  return new OptionError(
    `${who}: ${name} must be from 0 to ${bound - 1}${besides} (${of}); got ${value} at ${position(at, shape)}.`,
  );
}

/** Element `flat` of a tensor as `[1,2]`. */
function position(flat: number, shape: readonly number[]): string {
  const at: number[] = [];
  let rest = flat;
  for (const extent of [...shape].reverse()) {
    at.unshift(rest % extent);
    rest = Math.floor(rest / extent);
  }
  return show(at);
}
