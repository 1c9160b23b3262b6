import { constant, type F32 } from '../../codegen/expression/index.js';
import type { Shape } from '../../core/shape.js';
import { mean, sum } from '../../ops/reduce.js';
import { runElementwise } from '../../tensor/elementwise.js';
import { empty, type Tensor } from '../../tensor/index.js';
import { average, moved, expressionOf, x0, x1, x2 } from './expressions.js';
import { checkOptimiser, optimiser, type Update } from './optimiser.js';
import { atLeast, flag, positive } from '../../core/requirements.js';
import { launchSquares, partialSums } from '../../kernels/squares.js';
import type { DecayOptions, NamedTensors, Optimiser } from './types.js';

export interface AdafactorOptions extends DecayOptions {
  /** Whether a step is relative to the size of the parameter, `max(epsilon2, RMS(θ))`; default true. */
  readonly relativeStep?: boolean;
  /** d: the largest RMS of an update before it is multiplied by the step; default 1. */
  readonly clipThreshold?: number;
  /** c of `β2 = 1 − t^−c`; default 0.8. */
  readonly decayExponent?: number;
  /** Added to squares of gradients; at least 1e-32, so that f32 holds it; default 1e-30. */
  readonly epsilon1?: number;
  /** The least size of a parameter, so that zeros can grow; default 1e-3. */
  readonly epsilon2?: number;
  /** Default 0. */
  readonly weightDecay?: number;
}

const requirements = {
  relativeStep: flag,
  clipThreshold: positive,
  decayExponent: positive,
  epsilon1: atLeast(1e-32),
  epsilon2: positive,
};

const square = x0.mul(x0);
const relativeRoot = x1.sqrt().div(x0.sqrt());
const inverseRoot = constant(1).div(x0.sqrt());
const threefold = x0.mul(x1).mul(x2);
const normalised = x0.div(x1.sqrt());

/** Matrices keep means of rows and columns; a single row or column would save nothing. */
const isFactored = (shape: Shape): boolean => shape.slice(-2).every((extent) => extent > 1) && shape.length >= 2;

/**
 * Adafactor: second moments of a matrix from the means of its rows and columns. Of a parameter θ `[n, m]` with gradient G,
 * at its update t and learning rate ρ:
 *
 * ```
 * β = 1 − t^−c        R = β·R + (1 − β)·mean of rows of (G² + ε1)        C = the same of columns
 * U = G / √(R·C / mean(R))        θ = θ − max(ε2, RMS(θ))·ρ·U / max(1, RMS(U)/d) − ρ·λ·θ
 * ```
 *
 * Keeps `rows` `[n, 1]` and `columns` `[1, m]`; vectors keep `square`, their whole second moment. (Shazeer, Stern 2018,
 * arXiv 1804.04235, algorithms 4 to 6.) Relative to the paper: means take the place of sums, which cancels in R·C / mean(R);
 * axes before the last two are a batch of matrices; the rate is given to `step`, the paper's own being min(10⁻², 1/√t);
 * decay is added, and not relative to the size.
 *
 * @throws OptionError naming everything against the options and the parameters.
 */
export function adafactor(parameters: NamedTensors, options: AdafactorOptions = {}): Optimiser {
  checkOptimiser('adafactor', parameters, options, requirements);
  const { relativeStep = true, clipThreshold = 1, decayExponent = 0.8, epsilon1 = 1e-30, epsilon2 = 1e-3 } = options;
  const nextMean = expressionOf((β: number) => average(x0, x1.add(epsilon1), β));
  const nextSquare = expressionOf((β: number) => average(x0, x1.mul(x1).add(epsilon1), β));
  // x0 and x1 are the mean squares of the direction and of the parameter
  const excess = x0.sqrt().div(clipThreshold).max(1);
  const step = expressionOf((rate: number) =>
    (relativeStep ? x1.sqrt().max(epsilon2).mul(rate) : constant(rate)).div(excess),
  );
  const next = expressionOf((decay: number) => moved(decay, x1.mul(x2)));

  const update = ({ parameter, gradient, slots, count, learningRate, decay }: Update): void => {
    const { shape, device } = parameter;
    const β = 1 - count ** -decayExponent;
    const direction = empty(shape, 'f32', device, 'workspace');
    const { square, rows, columns } = slots;
    if (square === undefined) factored(gradient, rows!, columns!, nextMean(β), direction);
    else {
      runElementwise(nextSquare(β), [square, gradient], square);
      runElementwise(normalised, [gradient, square], direction);
    }
    const size = meanSquare(direction);
    const sizes = relativeStep ? [size, meanSquare(parameter)] : [size];
    runElementwise(step(learningRate), sizes, size);
    runElementwise(next(decay), [parameter, direction, size], parameter);
  };
  return optimiser({ name: 'adafactor', updatesRows: false, slots: slotsOf, update }, parameters, options);
}

function slotsOf(shape: Shape): Readonly<Record<string, Shape>> {
  if (!isFactored(shape)) return { square: shape };
  const [batch, [n, m]] = [shape.slice(0, -2), shape.slice(-2) as [number, number]];
  return { rows: [...batch, n, 1], columns: [...batch, 1, m] };
}

/** Updates `rows` and `columns`, and writes `gradient / √(rows·columns / mean(rows))` to `direction`. */
function factored(gradient: Tensor, rows: Tensor, columns: Tensor, next: F32, direction: Tensor): void {
  runElementwise(square, [gradient], direction);
  runElementwise(next, [rows, mean(direction, { axes: -1, keepDims: true })], rows);
  runElementwise(next, [columns, mean(direction, { axes: -2, keepDims: true })], columns);
  // roots apart from each other: a product of two small means would vanish in f32
  const [across, down] = [rows, columns].map((kept) => empty(kept.shape, 'f32', kept.device, 'workspace'));
  runElementwise(relativeRoot, [rows, mean(rows, { axes: -2, keepDims: true })], across!);
  runElementwise(inverseRoot, [columns], down!);
  runElementwise(threefold, [gradient, across!, down!], direction);
}

/** The mean of x², `[1]`. */
function meanSquare(x: Tensor): Tensor {
  const partial = empty([partialSums(x.size, x.device)], 'f32', x.device, 'workspace');
  launchSquares(x.device, { x: x.buffer, count: x.size, out: partial.buffer, factor: 1 / Math.sqrt(x.size) });
  return partial.size === 1 ? partial : sum(partial, { keepDims: true });
}
