import { select, variable, type F32 } from '../codegen/expression/index.js';
import { NumericsError, OptionError, ShapeError } from '../core/errors.js';
import { show } from '../core/shape.js';
import { choleskyKernel, choleskyScratch } from '../kernels/cholesky.js';
import { commonDevice, operation, produce, scope, tensor, type Tensor } from '../tensor/index.js';
import { map } from './map.js';
import { matmul } from './matmul.js';
import { transpose } from './shape.js';

const who = 'choleskyInverse';

const [x0, x1, x2] = [0, 1, 2].map((i) => variable(`x${i}`, 'f32')) as [F32, F32, F32];
/** The lower half with half of the diagonal, negated. */
const lowerHalf = x0.neg().mul(select(x1.gt(x2), 1, select(x1.eq(x2), 0.5, 0)));
const symmetric = x0.add(x1).mul(0.5);

/**
 * W = L⁻¹ of each symmetric positive definite matrix A = L·Lᵀ, L lower triangular, `[..., n, n]` → `[..., n, n]` f32: W·A·Wᵀ = I and
 * A⁻¹ = Wᵀ·W, so that xᵀ·A⁻¹·x is the square of the length of W·x. The lower half of A is read. Differentiable, with a symmetric
 * gradient: dA = sym(Wᵀ·Φ(−dW·Wᵀ)·W), Φ the lower half with half of the diagonal. (Murray 2016, arXiv:1602.07527.)
 *
 * @throws ShapeError unless the last two axes are equal; OptionError for what is not f32; NumericsError, once the device has run, for a
 * matrix that is not positive definite.
 *
 * @example
 * choleskyInverse(tensor([4, 0, 0, 9], [2, 2], { device })); // [[1/2, 0], [0, 1/3]]
 */
export function choleskyInverse(a: Tensor): Tensor {
  const device = commonDevice(who, [a]);
  const n = a.shape.at(-1) ?? 0;
  if (a.rank < 2 || a.shape.at(-2) !== n) throw new ShapeError(`${who}: a must be [...,n,n]; got ${show(a.shape)}.`);
  if (a.dtype !== 'f32') throw new OptionError(`${who}: a must be f32; got ${a.dtype}. Use cast first.`);
  const count = a.size / n ** 2;
  return scope(() => {
    const out = produce(a.shape, 'f32', device, (to) => {
      const failed = device.allocate(4 * count, 'workspace');
      try {
        const { kernel, pack } = choleskyKernel(undefined);
        const args = pack({ a: a.buffer, out: to.buffer, failed, n });
        device.run(kernel, args, count, { scratchBytes: choleskyScratch(n) });
        device.guard(failed, (bytes) => checkPivots(new Int32Array(bytes.buffer, bytes.byteOffset, count)));
      } finally {
        device.free(failed);
      }
    });
    const vjp = ([dW]: readonly (Tensor | undefined)[]): Tensor[] => {
      const index = Float32Array.from({ length: n }, (_, i) => i);
      const [rows, columns] = [tensor(index, [n, 1], { device }), tensor(index, [1, n], { device })];
      const half = map(lowerHalf, matmul(dW!, out, { transposeB: true }), rows, columns);
      const d = matmul(matmul(out, half, { transposeA: true }), out);
      return [map(symmetric, d, transpose(d))];
    };
    operation(who, [a], [out], vjp, [out]);
    return out;
  });
}

function checkPivots(failed: Int32Array): void {
  const matrix = failed.findIndex((row) => row > 0);
  if (matrix < 0) return;
  throw new NumericsError(
    `${who}: matrix ${matrix} is not positive definite: the pivot of row ${failed[matrix]! - 1} is not above 0. Add a ridge to its diagonal.`,
  );
}
