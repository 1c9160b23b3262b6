import { constant, select, variable, type Expression, type F32 } from '../../codegen/expression/index.js';
import { describe } from '../../core/describe.js';
import { OptionError, ShapeError } from '../../core/errors.js';
import { sameShape, show } from '../../core/shape.js';
import { runElementwise } from '../../tensor/elementwise.js';
import { scope } from '../../tensor/scope.js';
import { operation } from '../../tensor/tape.js';
import { commonDevice, empty, share, type Tensor } from '../../tensor/tensor.js';
import { stored } from '../cast.js';
import { floatResult } from '../map.js';
import { sumTo } from '../reduce.js';

/** A result of attention over some of the keys. */
export interface PartialAttention {
  /** `[B, H, L, E]` */
  readonly out: Tensor;
  /** `[B, H, L]` */
  readonly logsumexp: Tensor;
}

const [x0, x1, x2] = [0, 1, 2].map((i) => variable(`x${i}`, 'f32')) as [F32, F32, F32];
const minusInfinity = constant(-Infinity, 'f32');
/** −∞ as 0, so that −∞ − (−∞) does not arise. */
const finite = (x: F32): F32 => select(x.eq(minusInfinity), 0, x);
/** exp(l − top) */
const power = (l: F32, top: F32): F32 => l.sub(finite(top)).exp();

const powerOfFirst = power(x0, x1);
const addPower = x0.add(power(x1, x2));
const mergedLogsumexp = select(x1.eq(0), minusInfinity, x0.add(x1.log()));
// from the largest and the sum, not from the logsumexp: of scores as far out as −1e5, that has no digits after the point
const weight = select(x2.eq(0), 0, power(x0, x1).div(x2));
const product = x0.mul(x1);
const addProduct = x0.add(x1.mul(x2));

/**
 * Attention over disjoint sets of keys as one: `l = log Σ_r exp l_r`, `out = Σ_r exp(l_r − l) out_r`. A key that is in several sets
 * counts several times. The identity is (0, −∞). Differentiable in all tensors. Added up in f32; `out` is f16 or bf16 where all of
 * the parts are.
 * (Dao 2023, arXiv:2307.08691, §2.3; FlashDecoding, 2023.)
 *
 * @throws ShapeError unless all parts have the same shapes; OptionError without parts.
 */
export function mergeAttention(...parts: readonly PartialAttention[]): PartialAttention {
  const [first, ...others] = parts;
  if (first === undefined) throw new OptionError('mergeAttention: takes one part or more; got none.');
  for (const part of parts) {
    if (typeof part !== 'object' || part === null)
      throw new OptionError(`mergeAttention: takes parts { out, logsumexp }; got ${describe(part)}.`);
  }
  commonDevice(
    'mergeAttention',
    parts.flatMap(({ out, logsumexp }) => [out, logsumexp]),
  );
  if (others.some((part) => !alike(first, part))) {
    const shapes = parts.map(({ out, logsumexp }) => `${show(out.shape)} with ${show(logsumexp.shape)}`).join(', ');
    throw new ShapeError(`mergeAttention: all parts must have the same shapes [B,H,L,E] and [B,H,L]; got ${shapes}.`);
  }
  const device = commonDevice(
    'mergeAttention',
    parts.flatMap(({ out, logsumexp }) => [out, logsumexp]),
  );
  if (others.length === 0) return first;
  const rows = [...first.logsumexp.shape, 1];
  const column = (x: Tensor): Tensor => share(x, rows);
  const compute = (expression: Expression, shape: readonly number[], ...inputs: Tensor[]): Tensor => {
    const result = empty(shape, 'f32', device);
    runElementwise(expression, inputs, result);
    return result;
  };
  const shapes = { out: first.out.shape, logsumexp: first.logsumexp.shape };
  return scope(() => {
    const top = compute(x0.max(x1), shapes.logsumexp, first.logsumexp, others[0]!.logsumexp);
    for (const part of others.slice(1)) runElementwise(x0.max(x1), [top, part.logsumexp], top);
    const total = compute(powerOfFirst, shapes.logsumexp, first.logsumexp, top);
    for (const part of others) runElementwise(addPower, [total, part.logsumexp, top], total);
    const weightOf = (part: PartialAttention): Tensor =>
      compute(weight, rows, column(part.logsumexp), column(top), column(total));
    const logsumexp = compute(mergedLogsumexp, shapes.logsumexp, top, total);
    const sums = compute(product, shapes.out, first.out, weightOf(first));
    for (const part of others) runElementwise(addProduct, [sums, part.out, weightOf(part)], sums);
    const out = stored(sums, floatResult(parts.map((part) => part.out)));

    const inputs = parts.flatMap((part) => [part.out, part.logsumexp]);
    operation(
      'mergeAttention',
      inputs,
      [out, logsumexp],
      ([dout, dlogsumexp]) =>
        // a scope for each part: its temporaries are as large as the part
        parts.flatMap((part) =>
          scope(() => {
            const own = weightOf(part);
            // dl = weight · (Σ_e dout (out_part − out) + dlogsumexp)
            const inner = dout && sumTo(compute(x0.mul(x1.sub(x2)), shapes.out, dout, part.out, out), rows);
            const outer = dlogsumexp && column(dlogsumexp);
            const sum = inner && outer ? compute(x0.add(x1), rows, inner, outer) : (inner ?? outer)!;
            const dl = share(compute(product, rows, own, sum), shapes.logsumexp);
            return [dout && compute(product, shapes.out, dout, own), dl];
          }),
        ),
      [...inputs, top, total, out],
    );
    return { out, logsumexp };
  });
}

const alike = (a: PartialAttention, b: PartialAttention): boolean =>
  sameShape(a.out.shape, b.out.shape) && sameShape(a.logsumexp.shape, b.logsumexp.shape);
