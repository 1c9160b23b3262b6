import { normal, uniform } from '../core/random.js';
import { ShapeError } from '../core/errors.js';
import { callable, checkValue, finite, someNumber } from '../core/requirements.js';
import { checkShape, show, sizeOf } from '../core/shape.js';
import type { Device } from '../devices/device.js';
import { empty, tensor, trackLeaf, type Tensor } from '../tensor/index.js';

/** Fills a tensor of `shape` from a seed; `purpose` names it, so that parameters never share random numbers. */
export type Initialiser = (shape: readonly number[], seed: number, purpose: string) => Float32Array;

/** A named tensor of a mechanism beside q, k and v. */
export interface ParameterSpec {
  readonly shape: readonly number[];
  readonly init: Initialiser;
  /** Whether training changes it; otherwise it is drawn once from the seed and kept (random features, hash planes). */
  readonly learned: boolean;
  /** Whether whatever reads it takes 16 bits too, so that a model may keep it so. Default false. */
  readonly narrows?: boolean;
}
export type ParameterSpecs = Readonly<Record<string, ParameterSpec>>;

/** A tensor that training changes. */
export const learned = (shape: readonly number[], init: Initialiser): ParameterSpec =>
  parameter('learned', shape, init, true);
/** A matrix that training changes, and products or look-ups alone read, which widen 16 bits. */
export const learnedMatrix = (shape: readonly number[], init: Initialiser): ParameterSpec => ({
  ...learned(shape, init),
  narrows: true,
});
/** A tensor that is drawn once from the seed and kept. */
export const drawn = (shape: readonly number[], init: Initialiser): ParameterSpec =>
  parameter('drawn', shape, init, false);

function parameter(who: string, shape: readonly number[], init: Initialiser, learned: boolean): ParameterSpec {
  checkShape(who, shape);
  checkValue(who, 'init', init, callable);
  return { shape, init, learned };
}

/** Draws a parameter on a device. */
export function drawParameter(
  { shape, init, learned }: ParameterSpec,
  { device, seed, purpose }: { readonly device: Device; readonly seed: number; readonly purpose: string },
  requiresGradient = false,
): Tensor {
  const tracked = learned && requiresGradient;
  if (device.info.kind === 'rehearsal') {
    const out = empty(shape, 'f32', device, 'parameter');
    if (tracked) trackLeaf(out);
    return out;
  }
  return tensor(init(shape, seed, purpose), shape, { device, requiresGradient: tracked, category: 'parameter' });
}

export function constantOf(value: number): Initialiser {
  checkValue('constantOf', 'value', value, someNumber);
  return (shape) => new Float32Array(elements('constantOf', shape)).fill(value);
}

/** N(0, std²). */
export function normalOf(std = 1): Initialiser {
  checkValue('normalOf', 'std', std, finite);
  return (shape, seed, purpose) => normal(seed, purpose, elements('normalOf', shape)).map((x) => std * x);
}

/** Uniform on [−bound, bound). */
export function uniformOf(bound: number): Initialiser {
  checkValue('uniformOf', 'bound', bound, finite);
  return (shape, seed, purpose) => uniform(seed, purpose, elements('uniformOf', shape)).map((x) => bound * (2 * x - 1));
}

/** Uniform on [0, 1). */
export const unitUniform: Initialiser = (shape, seed, purpose) =>
  uniform(seed, purpose, elements('unitUniform', shape));

function elements(who: string, shape: readonly number[], axes = 0): number {
  checkShape(who, shape);
  if (shape.length < axes) throw new ShapeError(`${who}: takes a shape of at least ${axes} axes; got ${show(shape)}.`);
  return sizeOf(shape);
}

/** The identity in the last two axes. */
export const identity: Initialiser = (shape) => {
  const length = elements('identity', shape, 2);
  const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
  return Float32Array.from({ length }, (_, i) =>
    Math.floor((i % (rows * columns)) / columns) === i % columns ? 1 : 0,
  );
};

/**
 * Rows of random orthogonal blocks: each D×D block is an orthonormal matrix (Gram–Schmidt of Gaussians, which is Haar
 * distributed), and row i is scaled by the norm of an independent Gaussian vector, so each row is N(0, I) by itself. The
 * last of ⌈M/D⌉ blocks is cut. (Orthogonal random features: Yu et al. 2016, arXiv:1610.09072.)
 */
export const orthogonalRows: Initialiser = (shape, seed, purpose) => {
  const size = elements('orthogonalRows', shape, 2);
  const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
  const matrices = size / (rows * columns);
  const source = Float64Array.from(normal(seed, purpose, matrices * Math.ceil(rows / columns) * columns * columns));
  const norms = normal(seed, `${purpose} norms`, matrices * rows * columns);
  const out = new Float32Array(sizeOf(shape));
  for (let m = 0; m < matrices; m++) {
    for (let row = 0; row < rows; row++) {
      const start = (m * Math.ceil(rows / columns) * columns + row) * columns;
      const own = source.subarray(start, start + columns);
      const before = row % columns;
      // twice: once leaves rounding that grows with nearly parallel rows
      for (let pass = 0; pass < 2; pass++) {
        for (let other = 1; other <= before; other++) subtractProjection(own, source, start - other * columns);
      }
      const length = Math.hypot(...own);
      for (let c = 0; c < columns; c++) own[c]! /= length;
      const at = (m * rows + row) * columns;
      const norm = Math.hypot(...norms.subarray(at, at + columns));
      for (let c = 0; c < columns; c++) out[at + c] = norm * own[c]!;
    }
  }
  return out;
};

function subtractProjection(own: Float64Array, all: Float64Array, start: number): void {
  let dot = 0;
  for (let c = 0; c < own.length; c++) dot += own[c]! * all[start + c]!;
  for (let c = 0; c < own.length; c++) own[c]! -= dot * all[start + c]!;
}
