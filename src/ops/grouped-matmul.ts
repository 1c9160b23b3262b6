import type { Expression } from '../codegen/expression/index.js';
import { isFloat, type FloatDtype } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { anything, checkValues, flag, type Requirements } from '../core/requirements.js';
import { sameShape, show } from '../core/shape.js';
import { launchGrouped, launchGroupedInner } from '../kernels/matmul/grouped-launch.js';
import { commonDevice, empty, full, operation, records, scope, someTensor, type Tensor } from '../tensor/index.js';
import { stored } from './cast.js';
import { checkIndices } from './indices.js';
import { checkStorage, floatResult, type Scalar } from './map.js';
import { activationOf, slopes } from './matmul.js';

export interface GroupedMatmulOptions {
  /** `[E, N]`, added to every row of a group. */
  readonly bias?: Tensor;
  /** Use the transposes of the weights, `[E, N, K]`; default false. */
  readonly transposeWeights?: boolean;
  /** Applied to every element: a function such as `reluOf`, or an expression of the variable `x0`. */
  readonly activation?: Scalar;
  /** How the result is stored; default f16 or bf16 when both operands are, else f32. */
  readonly dtype?: FloatDtype;
}

const requirements: Requirements = {
  bias: someTensor,
  transposeWeights: flag,
  activation: anything,
  dtype: anything,
};
const who = 'groupedMatmul';

/**
 * `out[r] = activation(x[r]·weights[g] + bias[g])` for each row r of group g, and 0 for rows of none: `x [R, K]` with `weights [E, K, N]`
 * gives `[R, N]`. Rows are sorted by group: those of group g come before `ends[g]` and from the end before on, `ends [E]` i32; rows from the
 * last end on are of none. An end below the one before counts as that one. Groups may be empty: weights without rows get gradient 0.
 *
 * Where groups end is read on the device, by each task for itself: products and gradients are one dispatch each, and their work
 * follows the rows there are. Tasks and the order of every sum depend on shapes and ends alone, never on threads. R·K·N multiply-adds where
 * every row has a group, as many again for each gradient.
 *
 * @throws ShapeError when the shapes do not fit; OptionError for ends that are not i32 from 0 to R, operands that are not floats, or an
 *   activation of anything but `x0`.
 *
 * @example
 * const weights = tensor([1, 10, 100], [3, 1, 1], { device });
 * const ends = tensor(Int32Array.of(2, 2, 3), [3], { device });
 * groupedMatmul(tensor([1, 2, 3, 4], [4, 1], { device }), weights, ends); // [[1], [2], [300], [0]]
 */
export function groupedMatmul(x: Tensor, weights: Tensor, ends: Tensor, options: GroupedMatmulOptions = {}): Tensor {
  checkValues(who, options, requirements);
  const { bias, transposeWeights = false } = options;
  const inputs = bias === undefined ? [x, weights] : [x, weights, bias];
  commonDevice(who, [...inputs, ends]);
  const dtype = checkStorage(who, options.dtype) ?? floatResult([x, weights]);
  const sizes = check(x, weights, ends, bias, transposeWeights);
  const activation = options.activation === undefined ? undefined : activationOf(options.activation, who);
  const recorded = records(inputs);
  return scope(() => {
    const safe = checkIndices(who, ends, { name: 'ends', bound: sizes.count + 1, of: `${sizes.count} rows` });
    const given: Given = { x, weights, ends: safe, bias, transposed: transposeWeights, activation, sizes };
    const sums = product(given, recorded);
    const result = stored(sums.out, dtype);
    if (!recorded) return result;
    const kept = sums.kept && stored(sums.kept, dtype, 'saved');
    const saved = [x, weights, safe, ...(kept ? [kept] : [])];
    operation(who, inputs, [result], ([d], needs) => vjp(given, kept, d!, needs), saved);
    return result;
  });
}

interface Sizes {
  readonly count: number;
  readonly groups: number;
  readonly N: number;
  readonly K: number;
}

interface Given {
  readonly x: Tensor;
  readonly weights: Tensor;
  readonly ends: Tensor;
  readonly bias: Tensor | undefined;
  readonly transposed: boolean;
  readonly activation: Expression | undefined;
  readonly sizes: Sizes;
}

function check(x: Tensor, weights: Tensor, ends: Tensor, bias: Tensor | undefined, transposed: boolean): Sizes {
  const integers = [x, weights, bias].find((one) => one !== undefined && !isFloat(one.dtype));
  if (integers) {
    throw new OptionError(`${who}: operands must be f32, f16 or bf16; got ${integers.dtype}. Use cast first.`);
  }
  const [count, K] = x.shape as [number, number];
  const [groups] = weights.shape as [number];
  const [inner, N] = (transposed ? [2, 1] : [1, 2]).map((axis) => weights.shape[axis]) as [number, number];
  const reasons = [
    (x.rank !== 2 || weights.rank !== 3) && `x must be [R,K] and weights ${transposed ? '[E,N,K]' : '[E,K,N]'}`,
    x.rank === 2 && weights.rank === 3 && K !== inner && `x and weights must have one K, not ${K} and ${inner}`,
    weights.rank === 3 && !sameShape(ends.shape, [groups]) && `ends must be [E]=[${groups}]`,
    bias && weights.rank === 3 && !sameShape(bias.shape, [groups, N]) && `bias must be [E,N]=[${groups},${N}]`,
  ].filter((reason) => typeof reason === 'string');
  if (reasons.length === 0) return { count, groups, N, K };
  const got = `x=${show(x.shape)}, weights=${show(weights.shape)}, ends=${show(ends.shape)}`;
  throw new ShapeError(`${who}: ${reasons.join('; ')}; got ${got}${bias ? `, bias=${show(bias.shape)}` : ''}.`);
}

const stack = (x: Tensor) => ({ buffer: x.buffer, dtype: x.dtype as FloatDtype });

/** The f32 product, and the sums before the activation if they are wanted. */
function product(given: Given, keep: boolean): { out: Tensor; kept: Tensor | undefined } {
  const { x, weights, ends, bias, transposed, activation, sizes } = given;
  const { device } = x;
  const out = empty([sizes.count, sizes.N], 'f32', device);
  const kept = keep && activation !== undefined ? empty(out.shape, 'f32', device, 'saved') : undefined;
  launchGrouped(device, {
    ...sizes,
    a: stack(x),
    b: { ...stack(weights), transposed },
    bias: bias && stack(bias),
    ends: ends.buffer,
    out: out.buffer,
    activation,
    kept: kept?.buffer,
  });
  device.counters.bytesMoved += x.byteLength + weights.byteLength + out.byteLength + (kept?.byteLength ?? 0);
  return { out, kept };
}

function vjp(
  given: Given,
  kept: Tensor | undefined,
  cotangent: Tensor,
  needs: readonly boolean[],
): (Tensor | undefined)[] {
  const { x, weights, bias, transposed, activation } = given;
  const d = activation === undefined ? cotangent : slopes(activation, kept!, cotangent);
  const back = { ...given, x: d, bias: undefined, activation: undefined, transposed: !transposed };
  const { count, groups, N, K } = given.sizes;
  return [
    needs[0] ? product({ ...back, sizes: { count, groups, N: K, K: N } }, false).out : undefined,
    needs[1] ? (transposed ? inner(given, d, x, weights.shape) : inner(given, x, d, weights.shape)) : undefined,
    needs[2] ? inner(given, full([count, 1], 1, { device: x.device }), d, bias!.shape) : undefined,
  ];
}

/** Products over the rows of each group: the gradient of weights, or of biases. */
function inner({ ends, sizes: { count, groups } }: Given, a: Tensor, b: Tensor, shape: readonly number[]): Tensor {
  const { device } = a;
  const out = empty(shape, 'f32', device);
  const sizes = { count, groups, K: a.shape[1]!, N: b.shape[1]! };
  launchGroupedInner(device, { ...sizes, a: stack(a), b: stack(b), ends: ends.buffer, out: out.buffer });
  device.counters.bytesMoved += a.byteLength + b.byteLength + out.byteLength;
  return out;
}
