import { isFloat } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { anything, checkValues, wholeNumber } from '../core/requirements.js';
import { checkShape, resolveAxis, sameShape, show, sizeOf } from '../core/shape.js';
import { columnProducts, launchColumns, launchMix, mixes, mixProducts } from '../kernels/fourier/launch.js';
import {
  commonDevice,
  empty,
  full,
  noGradient,
  operation,
  produce,
  scope,
  tensor,
  type Tensor,
} from '../tensor/index.js';
import { cast } from './cast.js';
import { matmul } from './matmul.js';
import { transpose } from './shape.js';

/** Complex numbers as two f32 tensors of one shape. */
export interface Complex {
  readonly re: Tensor;
  readonly im: Tensor;
}

export interface FourierOptions {
  /** Default −1, the last. */
  readonly axis?: number;
}

/** With fewer columns beside it than this, an axis is moved to the front first. */
const FEW = 16;

/**
 * The discrete Fourier transform along one axis, `out_k = Σ_j (re_j + i·im_j) e^{−2πi·jk/n}`, without a factor; `im` absent is 0.
 * Any length: mixed radix for prime factors up to 64, else a convolution with a chirp. The inverse is the same with real and
 * imaginary parts exchanged before and after, divided by n. Differentiable.
 *
 * Source: Cooley and Tukey, An algorithm for the machine calculation of complex Fourier series, 1965; Bluestein, A linear
 * filtering approach to the computation of discrete Fourier transform, 1970.
 *
 * @throws ShapeError when `re` and `im` differ in shape; OptionError for an axis that does not exist, or other dtypes than f32.
 *
 * @example
 * fourier({ re: tensor([1, 2, 3, 4], [4], { device }) }).im; // [0, 2, 0, -2]
 */
export function fourier(x: { readonly re: Tensor; readonly im?: Tensor }, options: FourierOptions = {}): Complex {
  checkValues('fourier', options, { axis: wholeNumber });
  checkValues('fourier', x, { re: anything, im: anything }, ['re']);
  const { re, im } = x;
  const inputs = im === undefined ? [re] : [re, im];
  commonDevice('fourier', inputs);
  if (inputs.some(({ dtype }) => dtype !== 'f32')) {
    throw new OptionError(`fourier: takes f32; got ${inputs.map(({ dtype }) => dtype).join(', ')}. Use cast first.`);
  }
  if (im !== undefined && !sameShape(re.shape, im.shape)) {
    throw new ShapeError(`fourier: re and im must have one shape; got re=${show(re.shape)}, im=${show(im.shape)}.`);
  }
  const axis = resolveAxis('fourier', options.axis ?? -1, re.shape);
  return scope(() => {
    const out = noGradient(() => transform(re, im, axis));
    operation('fourier', inputs, [out.re, out.im], ([dre, dim]) => {
      // the adjoint is the inverse without its factor
      const exchanged = transform(dim ?? full(re.shape, 0, { device: re.device }), dre, axis);
      return [exchanged.im, exchanged.re];
    });
    return out;
  });
}

function transform(re: Tensor, im: Tensor | undefined, axis: number): Complex {
  const { shape } = re;
  const columns = sizeOf(shape.slice(axis + 1));
  const n = shape[axis]!;
  if (columns < FEW && columns * n < re.size) {
    const order = [axis, ...shape.keys()].filter((a, i) => i === 0 || a !== axis);
    const turn = (x: Tensor): Tensor => transpose(x, order);
    const out = transform(turn(re), im && turn(im), 0);
    const back = order.map((_, a) => order.indexOf(a));
    return { re: transpose(out.re, back), im: transpose(out.im, back) };
  }
  const out = { re: empty(shape, 'f32', re.device), im: empty(shape, 'f32', re.device) };
  const layout = { reAt: 0, imAt: 0, stride: columns, batch: n * columns };
  const batches = re.size / (n * columns);
  launchColumns(
    re.device,
    { re: re.buffer, im: (im ?? re).buffer, ...layout },
    { re: out.re.buffer, im: out.im.buffer, ...layout },
    { batches, n, columns, imColumns: im === undefined ? 0 : columns },
  );
  return out;
}

/**
 * `Re(F_n·X·F_D)` of every matrix `[n, D]` of `x [..., n, D]`: the two-dimensional Fourier transform without a factor, of which
 * the real part is kept. Computed in f32, O(nD(log n + log D)); the map is its own adjoint, so its gradient costs the same.
 *
 * Source: FNet, Lee-Thorp et al. 2021, arXiv 2105.03824.
 *
 * @throws ShapeError for fewer than two axes; OptionError for numbers that are not floats.
 *
 * @example
 * fourierMix(tensor([1, 2, 3, 4], [2, 2], { device })); // [[10, -2], [-4, 0]]
 */
export function fourierMix(x: Tensor): Tensor {
  const device = commonDevice('fourierMix', [x]);
  if (!isFloat(x.dtype)) throw new OptionError(`fourierMix: takes f32, f16 or bf16; got ${x.dtype}. Use cast first.`);
  if (x.rank < 2) throw new ShapeError(`fourierMix: x must be [...,n,D], two axes or more; got ${show(x.shape)}.`);
  if (x.dtype !== 'f32') return scope(() => cast(fourierMix(cast(x, 'f32')), x.dtype));
  const [n, columns] = x.shape.slice(-2) as [number, number];
  const out = mixes(columns)
    ? produce(x.shape, 'f32', device, (y) => launchMix(device, x.buffer, y.buffer, x.size / (n * columns), n, columns))
    : noGradient(() => scope(() => mixByProduct(x, n, columns)));
  operation('fourierMix', [x], [out], ([d]) => [fourierMix(d!)]);
  return out;
}

/** Multiply-adds of `fourierMix` on `batches` matrices `[n, D]`, 4 for a complex product. */
export function fourierMixCost(batches: number, n: number, D: number): number {
  // sizes that no tensor has would be factorised for ever
  checkShape('fourierMixCost', [batches, n, D]);
  if (mixes(D)) return mixProducts(batches, n, D);
  return batches * n * D * 2 * D + columnProducts({ batches, n, columns: D });
}

/** With an awkward number of features, their transform is a product with its matrix. */
function mixByProduct(x: Tensor, n: number, columns: number): Tensor {
  const { device } = x;
  const table = new Float32Array(2 * columns * columns);
  for (let j = 0; j < columns; j++) {
    for (let k = 0; k < columns; k++) {
      const angle = (-2 * Math.PI * ((j * k) % columns)) / columns;
      table[2 * columns * j + k] = Math.cos(angle);
      table[2 * columns * j + columns + k] = Math.sin(angle);
    }
  }
  const features = matmul(x, tensor(table, [columns, 2 * columns], { device, category: 'workspace' }));
  const out = empty(x.shape, 'f32', device);
  const unused = empty(x.shape, 'f32', device, 'workspace');
  const interleaved = { reAt: 0, imAt: 4 * columns, stride: 2 * columns, batch: 2 * n * columns };
  launchColumns(
    device,
    { re: features.buffer, im: features.buffer, ...interleaved },
    { re: out.buffer, im: unused.buffer, reAt: 0, imAt: 0, stride: columns, batch: n * columns },
    { batches: x.size / (n * columns), n, columns, imColumns: columns },
  );
  return out;
}
