import { select, variable, type F32 } from '../codegen/expression/index.js';
import { NumericsError, OptionError, ShapeError } from '../core/errors.js';
import { show } from '../core/shape.js';
import { qrKernel, qrScratch, solveKernel } from '../kernels/qr.js';
import { commonDevice, empty, operation, produce, scope, tensor, type Tensor } from '../tensor/index.js';
import { add, sub } from './arithmetic.js';
import { map } from './map.js';
import { matmul } from './matmul.js';
import { transpose } from './shape.js';

const who = 'qr';

export interface QrFactors {
  /** Orthonormal columns, `[..., m, n]`. */
  readonly q: Tensor;
  /** Upper triangular with a positive diagonal, `[..., n, n]`. */
  readonly r: Tensor;
}

const [x0, x1, x2, x3] = [0, 1, 2, 3].map((i) => variable(`x${i}`, 'f32')) as [F32, F32, F32, F32];
/** The lower half of the first, and the transpose of what is below its diagonal: the second's upper half. */
const mirrored = select(x2.lt(x3), x1, x0);

/**
 * The factors A = Q·R of each matrix `[..., m, n]`, m ≥ n: Q `[..., m, n]` with QᵀQ = I, R `[..., n, n]` upper triangular with a positive
 * diagonal, so that they are unique; of Gaussian A, Q is Haar distributed. By Householder's reflections: Q is orthonormal within rounding
 * whatever the condition of A. Differentiable: dA = (dQ + Q·C(R·dRᵀ − dQᵀ·Q))·R⁻ᵀ, C(M) the symmetric matrix with the lower half of M.
 * (Walter, Lehmann 2010, arXiv:1001.1654, section 3.)
 *
 * @throws ShapeError unless there are at least as many rows as columns; OptionError for what is not f32; NumericsError, once the device
 * has run, where all but m·2⁻²³ of a column is a combination of those before it.
 *
 * @example
 * qr(tensor([3, 1, 4, 2], [2, 2], { device })); // q [[0.6, -0.8], [0.8, 0.6]], r [[5, 2.2], [0, 0.4]]
 */
export function qr(a: Tensor): QrFactors {
  const device = commonDevice(who, [a]);
  const [m, n] = [a.shape.at(-2) ?? 0, a.shape.at(-1) ?? 0];
  if (a.rank < 2 || m < n) throw new ShapeError(`${who}: a must be [...,m,n] with m ≥ n; got ${show(a.shape)}.`);
  if (a.dtype !== 'f32') throw new OptionError(`${who}: a must be f32; got ${a.dtype}. Use cast first.`);
  const count = a.size / (m * n);
  return scope(() => {
    const r = empty([...a.shape.slice(0, -2), n, n], 'f32', device);
    const q = produce(a.shape, 'f32', device, (to) => {
      const failed = device.allocate(4 * count, 'workspace');
      try {
        const { kernel, pack } = qrKernel(undefined);
        const sizes = { rows: m, columns: n, tolerance: m * 2 ** -23 };
        const args = pack({ a: a.buffer, q: to.buffer, r: r.buffer, failed, ...sizes });
        device.run(kernel, args, count, { scratchBytes: qrScratch(m, n) });
        device.guard(failed, (bytes) => checkColumns(new Int32Array(bytes.buffer, bytes.byteOffset, count)));
      } finally {
        device.free(failed);
      }
    });
    operation(who, [a], [q, r], ([dq, dr]) => [gradient(q, r, dq, dr)], [q, r]);
    return { q, r };
  });
}

function gradient(q: Tensor, r: Tensor, dq: Tensor | undefined, dr: Tensor | undefined): Tensor {
  const { device } = q;
  const [m, n] = [q.shape.at(-2)!, q.shape.at(-1)!];
  const ofR = dr && matmul(r, dr, { transposeB: true });
  const ofQ = dq && matmul(dq, q, { transposeA: true });
  const inner = ofQ === undefined ? ofR! : sub(ofR ?? 0, ofQ);
  const index = Float32Array.from({ length: n }, (_, i) => i);
  const [rows, columns] = [tensor(index, [n, 1], { device }), tensor(index, [1, n], { device })];
  const product = matmul(q, map(mirrored, inner, transpose(inner), rows, columns));
  const b = dq === undefined ? product : add(dq, product);
  const lower = transpose(r);
  return produce(q.shape, 'f32', device, (out) => {
    const { kernel, pack } = solveKernel(undefined);
    const args = pack({ b: b.buffer, l: lower.buffer, out: out.buffer, rows: m, columns: n });
    device.run(kernel, args, q.size / n);
  });
}

function checkColumns(failed: Int32Array): void {
  const matrix = failed.findIndex((column) => column > 0);
  if (matrix < 0) return;
  throw new NumericsError(
    `${who}: column ${failed[matrix]! - 1} of matrix ${matrix} is, within rounding, a combination of those before it, so that Q is not determined. Remove it, or add noise.`,
  );
}
