import { differentiate, F32, simplify, topological, type Expression } from '../codegen/expression/index.js';
import { isFloat, type FloatDtype } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { memoised } from '../core/memo.js';
import { anything, checkValues, flag, type Requirements } from '../core/requirements.js';
import { broadcastShapes, sameShape, show, sizeOf } from '../core/shape.js';
import { launchMatmul } from '../kernels/matmul/launch.js';
import { runElementwise } from '../tensor/elementwise.js';
import { commonDevice, empty, operation, records, scope, share, someTensor, type Tensor } from '../tensor/index.js';
import { stored } from './cast.js';
import { argument, checkStorage, floatResult, scalarOf, type Scalar } from './map.js';
import { sumTo } from './reduce.js';

export interface MatmulOptions {
  /** Use the transpose of the last two axes of `a`; default false. */
  readonly transposeA?: boolean;
  /** Use the transpose of the last two axes of `b`; default false. */
  readonly transposeB?: boolean;
  /** `[N]`, added to every row. */
  readonly bias?: Tensor;
  /** Applied to every element: a function such as `reluOf`, or an expression of the variable `x0`. */
  readonly activation?: Scalar;
  /** How the result is stored; default f16 or bf16 when both operands are, else f32. */
  readonly dtype?: FloatDtype;
}

const requirements: Requirements = {
  transposeA: flag,
  transposeB: flag,
  bias: someTensor,
  activation: anything,
  dtype: anything,
};

/**
 * `activation(a·b + bias)`: the matrix product over the last two axes, `[…, M, K]·[…, K, N] → […, M, N]`. The axes before
 * them broadcast (extents equal or 1, aligned at the last). Summed in f32, in an order that depends on the shapes only, then
 * stored as `dtype`.
 *
 * Bias and activation cost no pass of their own. For gradients the sums before the activation are saved, if there is one,
 * stored as the result is.
 *
 * @throws ShapeError when K, the batch axes or the bias do not fit.
 * @throws OptionError for operands or a dtype that are not floats, or an activation of anything but `x0`.
 *
 * @example
 * const x = tensor([1, 2, 3, 4], [2, 2], { device });
 * matmul(x, x, { transposeB: true }); // [[5, 11], [11, 25]]
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  checkValues('matmul', options, requirements);
  const { transposeA = false, transposeB = false, bias } = options;
  const inputs = bias === undefined ? [a, b] : [a, b, bias];
  commonDevice('matmul', inputs);
  const dtype = checkStorage('matmul', options.dtype) ?? floatResult([a, b]);
  const left: Side = { x: a, transposed: transposeA };
  const right: Side = { x: b, transposed: transposeB };
  check(left, right, bias);
  const activation = options.activation === undefined ? undefined : activationOf(options.activation, 'matmul');
  const recorded = records(inputs);
  return scope(() => {
    const sums = product(left, right, { bias, activation, keep: recorded });
    const result = stored(sums.out, dtype);
    if (!recorded) return result;
    const kept = sums.kept && stored(sums.kept, dtype, 'saved');
    const saved = [a, b, ...(kept ? [kept] : [])];
    operation(
      'matmul',
      inputs,
      [result],
      ([d], needs) => vjp(left, right, { bias, activation, kept }, d!, needs),
      saved,
    );
    return result;
  });
}

/** An operand of a product: the matrices of `x`, or their transposes. */
interface Side {
  readonly x: Tensor;
  readonly transposed: boolean;
}

interface Extras {
  readonly bias?: Tensor | undefined;
  readonly activation?: Expression | undefined;
  /** Whether the sums before the activation are wanted. */
  readonly keep?: boolean;
}

const rowsOf = ({ x, transposed }: Side): number => x.shape.at(transposed ? -1 : -2)!;
const columnsOf = ({ x, transposed }: Side): number => x.shape.at(transposed ? -2 : -1)!;
const flip = ({ x, transposed }: Side): Side => ({ x, transposed: !transposed });

function check(a: Side, b: Side, bias: Tensor | undefined): void {
  const integers = [a.x, b.x, bias].find((x) => x !== undefined && !isFloat(x.dtype));
  if (integers) {
    throw new OptionError(`matmul: operands must be f32, f16 or bf16; got ${integers.dtype}. Use cast first.`);
  }
  const reasons: string[] = [];
  if (a.x.rank < 2 || b.x.rank < 2) {
    reasons.push('a must be [...,M,K] and b [...,K,N], at least two axes each (reshape to add one)');
  } else {
    const [K, other, N] = [columnsOf(a), rowsOf(b), columnsOf(b)];
    if (K !== other) {
      const remedy = 'set transposeA or transposeB if one is stored the other way';
      reasons.push(`a must be [...,M,K] and b [...,K,N] with one K, not ${K} and ${other} (${remedy})`);
    }
    if (bias && !sameShape(bias.shape, [N])) reasons.push(`bias must be [N]=[${N}]`);
  }
  if (reasons.length === 0) return;
  const shape = ({ x, transposed }: Side): string => `${show(x.shape)}${transposed ? ' transposed' : ''}`;
  const got = `a=${shape(a)}, b=${shape(b)}${bias ? `, bias=${show(bias.shape)}` : ''}`;
  throw new ShapeError(`matmul: ${reasons.join('; ')}; got ${got}.`);
}

/** The expression of an activation, found again. @throws OptionError, in the name of `who`, for one of anything but `x0`. */
export const activationOf = memoised((activation: Scalar, who: string): Expression => {
  const expression = scalarOf(who, typeof activation === 'function' ? activation(argument(0)) : activation);
  const strange = topological(expression).find(
    ({ op, name }) => op === 'table' || (op === 'variable' && name !== 'x0'),
  );
  if (strange || expression.type !== 'f32') {
    const got = strange
      ? `it reads ${strange.name ?? `the table "${strange.table!.name}"`}`
      : `it is ${expression.type}`;
    throw new OptionError(`${who}: activation must be an f32 expression of x0 alone; ${got}. Use map on the result.`);
  }
  return expression;
});

/** The f32 product, and the sums before the activation if they are wanted. */
function product(
  a: Side,
  b: Side,
  { bias, activation, keep = false }: Extras = {},
): { out: Tensor; kept: Tensor | undefined } {
  const [M, N, K] = [rowsOf(a), columnsOf(b), columnsOf(a)];
  const [aBatch, bBatch] = [a.x.shape.slice(0, -2), b.x.shape.slice(0, -2)];
  const batch = broadcastShapes('matmul', [aBatch, bBatch]);
  const { device } = a.x;
  const out = empty([...batch, M, N], 'f32', device);
  const kept = keep && activation !== undefined ? empty(out.shape, 'f32', device, 'saved') : undefined;
  const stack = ({ x, transposed }: Side, batchOf: readonly number[]) => {
    if (!isFloat(x.dtype)) throw new OptionError(`matmul: operands must be floats; got ${x.dtype}.`);
    return { buffer: x.buffer, dtype: x.dtype, transposed, batch: batchOf };
  };
  launchMatmul(device, {
    a: stack(a, aBatch),
    b: stack(b, bBatch),
    out: out.buffer,
    batch,
    M,
    N,
    K,
    bias: bias && { buffer: bias.buffer, dtype: bias.dtype as FloatDtype },
    activation,
    kept: kept?.buffer,
  });
  device.counters.bytesMoved += a.x.byteLength + b.x.byteLength + out.byteLength + (kept?.byteLength ?? 0);
  return { out, kept };
}

/** `cotangent · activation′(sum)`, of the variables `x1` and `x0`. */
const slopeOf = memoised((activation: Expression) =>
  simplify(argument(1).mul(new F32(differentiate(activation, 'x0')))),
);

/** `cotangent · activation′(sums)`, in workspace. */
export function slopes(activation: Expression, sums: Tensor, cotangent: Tensor): Tensor {
  const d = empty(cotangent.shape, 'f32', cotangent.device, 'workspace');
  runElementwise(slopeOf(activation), [sums, cotangent], d);
  return d;
}

interface Forward {
  readonly bias: Tensor | undefined;
  readonly activation: Expression | undefined;
  readonly kept: Tensor | undefined;
}

function vjp(a: Side, b: Side, forward: Forward, cotangent: Tensor, needs: readonly boolean[]): (Tensor | undefined)[] {
  const { bias, activation, kept } = forward;
  const d = activation === undefined ? cotangent : slopes(activation, kept!, cotangent);
  return [
    needs[0] ? gradientOf(a, { x: d, transposed: false }, flip(b)) : undefined,
    needs[1] ? gradientOfRight(a, b, d) : undefined,
    needs[2] ? sumTo(d, bias!.shape) : undefined,
  ];
}

/** The gradient of `side` from that of its matrices, `left·right`; stored as `side` is. */
function gradientOf(side: Side, left: Side, right: Side): Tensor {
  const { out } = side.transposed ? product(flip(right), flip(left)) : product(left, right);
  return sumTo(out, side.x.shape);
}

function gradientOfRight(a: Side, b: Side, d: Tensor): Tensor {
  // one b for a whole batch of rows: the sum over the batch is part of the inner sum
  const shared = sizeOf(b.x.shape) === sizeOf(b.x.shape.slice(-2)) && !a.transposed && a.x.rank === d.rank;
  const rows = shared && sameShape(a.x.shape.slice(0, -2), d.shape.slice(0, -2));
  const flat = (x: Tensor): Tensor => (rows ? share(x, [x.size / x.shape.at(-1)!, x.shape.at(-1)!]) : x);
  return gradientOf(b, { x: flat(a.x), transposed: !a.transposed }, { x: flat(d), transposed: false });
}
