import { constant, select, variable, type Expression, type F32 } from '../../codegen/expression/index.js';
import { ShapeError } from '../../core/errors.js';
import { sameShape, show } from '../../core/shape.js';
import { runElementwise } from '../../tensor/elementwise.js';
import { scope } from '../../tensor/scope.js';
import { operation } from '../../tensor/tape.js';
import { empty, share, type Tensor } from '../../tensor/tensor.js';
import { sumTo } from '../reduce.js';

/** A result of attention over some of the keys. */
export interface PartialAttention {
  /** `[B, H, L, E]` */
  readonly out: Tensor;
  /** `[B, H, L]` */
  readonly logsumexp: Tensor;
}

const [x0, x1, x2, x3] = [0, 1, 2, 3].map((i) => variable(`x${i}`, 'f32')) as [F32, F32, F32, F32];
const minusInfinity = constant(-Infinity, 'f32');
/** −∞ as 0, so that −∞ − (−∞) does not arise. */
const finite = (x: F32): F32 => select(x.eq(minusInfinity), 0, x);

const top = finite(x0.max(x1));
const total = x0.sub(top).exp().add(x1.sub(top).exp());
const mergedLogsumexp = select(total.eq(0), minusInfinity, top.add(total.log()));
/** The weight of a part with logsumexp `part` in rows whose merged one is `all`. */
const shareOf = (part: F32, all: F32): F32 => part.sub(finite(all)).exp();

/**
 * Attention over two disjoint sets of keys as one: `l = log(exp l₁ + exp l₂)`, `out = exp(l₁ − l) out₁ + exp(l₂ − l) out₂`.
 * The identity is (0, −∞). Differentiable in all four tensors. (Dao 2023, arXiv:2307.08691, §2.3; FlashDecoding, 2023.)
 *
 * @throws ShapeError unless both parts have the same shapes.
 */
export function mergeAttention(a: PartialAttention, b: PartialAttention): PartialAttention {
  if (!sameShape(a.out.shape, b.out.shape) || !sameShape(a.logsumexp.shape, b.logsumexp.shape)) {
    const shapes = [a.out, a.logsumexp, b.out, b.logsumexp].map((x) => show(x.shape)).join(', ');
    throw new ShapeError(`mergeAttention: both parts must have the same shapes [B,H,L,E] and [B,H,L]; got ${shapes}.`);
  }
  const { device } = a.out;
  const rows = [...a.logsumexp.shape, 1];
  const column = (x: Tensor): Tensor => share(x, rows);
  const compute = (expression: Expression, shape: readonly number[], ...inputs: Tensor[]): Tensor => {
    const result = empty(shape, 'f32', device);
    runElementwise(expression, inputs, result);
    return result;
  };
  const weightOf = (part: PartialAttention, all: Tensor): Tensor =>
    compute(shareOf(x0, x1), rows, column(part.logsumexp), column(all));
  const merged = scope(() => {
    const logsumexp = compute(mergedLogsumexp, a.logsumexp.shape, a.logsumexp, b.logsumexp);
    const [wa, wb] = [weightOf(a, logsumexp), weightOf(b, logsumexp)];
    const out = compute(x0.mul(x1).add(x2.mul(x3)), a.out.shape, a.out, wa, b.out, wb);
    return { out, logsumexp };
  });
  const { out, logsumexp } = merged;

  operation(
    'mergeAttention',
    [a.out, a.logsumexp, b.out, b.logsumexp],
    [out, logsumexp],
    ([dout, dlogsumexp]) =>
      [a, b].flatMap((part) => {
        const weight = weightOf(part, logsumexp);
        // dl = weight · (Σ_e dout (out_part − out) + dlogsumexp)
        const inner = dout && sumTo(compute(x0.mul(x1.sub(x2)), out.shape, dout, part.out, out), rows);
        const outer = dlogsumexp && column(dlogsumexp);
        const sum = inner && outer ? compute(x0.add(x1), rows, inner, outer) : (inner ?? outer)!;
        const dl = share(compute(x0.mul(x1), rows, weight, sum), part.logsumexp.shape);
        return [dout && compute(x0.mul(x1), out.shape, dout, weight), dl];
      }),
    [a.out, a.logsumexp, b.out, b.logsumexp, out, logsumexp],
  );
  return merged;
}
