import { variable } from '../codegen/expression/index.js';
import { describe } from '../core/describe.js';
import { decode } from '../core/dtype.js';
import { checkValue, positive, reasonsAgainst, refuse, type Requirement } from '../core/requirements.js';
import { show } from '../core/shape.js';
import { runElementwise } from '../tensor/elementwise.js';
import { commonDevice, numbersOf, someTensor, type Gradient, type RowGradient, type Tensor } from '../tensor/index.js';
import { launchSquares, partialSums } from '../kernels/squares.js';

/** Gradients by the names of their parameters, or of the rows that were read; undefined where a parameter has none. */
export type NamedGradients = readonly (readonly [name: string, gradient: Gradient | undefined])[];

export interface ClipOptions {
  /** What the loss was multiplied by, and with it the gradients: they are divided by it. Default 1. */
  readonly unscale?: number;
}

export interface Clipped {
  /** The norm of all gradients together, unscaled but not yet clipped; infinite or NaN where a number is. */
  readonly norm: number;
  /** What all were multiplied by besides unscaling: 1 where the norm was within the limit, or is not finite. */
  readonly factor: number;
  /** The first gradient that holds an infinity or a NaN. */
  readonly nonFinite: string | undefined;
}

/**
 * Scales all gradients in place by `limit / norm` where `norm = √(Σ g²)`, over all of them, is above `limit`; an infinite
 * limit only measures. A gradient that is not finite leaves everything as it is: the result names it. (Pascanu, Mikolov,
 * Bengio 2013, arXiv 1211.5063.)
 *
 * Gradients of a scaled loss are divided by `unscale` in the same pass, and norm, limit and factor are those of the gradients of
 * the loss itself. By a power of two that is exact, unless numbers leave the normal range of f32.
 *
 * One pass reads each gradient, in f32 partial sums that are added up in float64; a sum that leaves the range of f32 is
 * taken again in another unit. What shares memory with a gradient is scaled with it, once.
 *
 * @throws OptionError for a limit or scale that is not above 0, gradients that are not f32, or of two devices.
 */
export async function clipGradients(
  gradients: NamedGradients,
  limit: number,
  options: ClipOptions = {},
): Promise<Clipped> {
  checkValue('clipGradients', 'gradients', gradients, namedGradients);
  const given = gradients.flatMap(([name, gradient]) =>
    gradient === undefined ? [] : [{ name, gradient: numbersOf(gradient) }],
  );
  check(given, limit, options);
  const { unscale = 1 } = options;
  if (given.length === 0) return { norm: 0, factor: 1, nonFinite: undefined };
  const tensors = given.map(({ gradient }) => gradient);
  const squares = await sumsOfSquares(tensors);
  const norm = Math.sqrt(squares.reduce((total, one) => total + one, 0)) / unscale;
  const nonFinite = given.find((_, i) => !Number.isFinite(squares[i]))?.name;
  if (nonFinite !== undefined) return { norm, factor: 1, nonFinite };
  const factor = norm <= limit ? 1 : limit / norm;
  if (factor === unscale) return { norm, factor, nonFinite };
  const scaled = variable('x0', 'f32').mul(factor / unscale);
  const distinct = new Map(tensors.map((gradient) => [gradient.buffer, gradient]));
  for (const gradient of distinct.values()) runElementwise(scaled, [gradient], gradient);
  return { norm, factor, nonFinite };
}

const someGradient: Requirement = {
  must: 'a gradient',
  holds: (value) => someTensor.holds(value) || someTensor.holds((Object(value) as Partial<RowGradient>).rows),
};
const namedGradients: Requirement = {
  must: 'a list of [name, tensor], undefined where there is none',
  holds: (value) =>
    Array.isArray(value) &&
    value.every(
      (one) => Array.isArray(one) && typeof one[0] === 'string' && (one[1] === undefined || someGradient.holds(one[1])),
    ),
};

function check(
  given: readonly { readonly name: string; readonly gradient: Tensor }[],
  limit: number,
  options: ClipOptions,
): void {
  const who = 'clipGradients';
  const reasons = given
    .filter(({ gradient }) => gradient.dtype !== 'f32')
    .map(({ name, gradient }) => `gradient ${name} must be f32; got ${gradient.dtype}${show(gradient.shape)}`);
  reasons.push(...reasonsAgainst(options, { unscale: positive }));
  if (!(typeof limit === 'number' && limit > 0)) {
    reasons.push(`limit must be a number above 0, or Infinity to measure only; got ${describe(limit)}`);
  }
  refuse(who, reasons);
  if (given.length > 0) {
    commonDevice(
      who,
      given.map(({ gradient }) => gradient),
    );
  }
}

/** A smaller sum may have lost terms to the end of f32, whose smallest normal number is 2⁻¹²⁶. */
const SMALL = 2 ** -80;

/** Σ x² of each tensor. */
async function sumsOfSquares(tensors: readonly Tensor[]): Promise<number[]> {
  const sums = await sumsInUnit(tensors, 1);
  for (const [unit, leaves] of [
    [2 ** 80, (sum: number) => !Number.isFinite(sum)],
    [2 ** -100, (sum: number) => sum < SMALL],
  ] as const) {
    const again = sums.flatMap((sum, i) => (leaves(sum) ? i : []));
    const better = await sumsInUnit(
      again.map((i) => tensors[i]!),
      unit,
    );
    again.forEach((at, i) => (sums[at] = better[i]! * unit ** 2));
  }
  return sums;
}

/** Σ (x / unit)² of each tensor, with one read for all. */
async function sumsInUnit(tensors: readonly Tensor[], unit: number): Promise<number[]> {
  if (tensors.length === 0) return [];
  const { device } = tensors[0]!;
  const counts = tensors.map(({ size, device }) => partialSums(size, device));
  const buffer = device.allocate(4 * counts.reduce((total, count) => total + count, 0), 'workspace');
  try {
    let begin = 0;
    tensors.forEach((x, i) => {
      launchSquares(device, { x: x.buffer, count: x.size, out: { buffer, byteOffset: 4 * begin }, factor: 1 / unit });
      begin += counts[i]!;
    });
    const partial = decode(await device.read(buffer), 'f32') as Float32Array;
    let end = 0;
    return counts.map((count) => partial.subarray(end, (end += count)).reduce((total, one) => total + one, 0));
  } finally {
    device.free(buffer);
  }
}
