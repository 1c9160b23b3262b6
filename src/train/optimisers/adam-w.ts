import { average, moved, expressionOf, x0, x1, x2 } from './expressions.js';
import { checkOptimiser, optimiser } from './optimiser.js';
import { fraction, positive } from '../../core/requirements.js';
import type { DecayOptions, NamedTensors, Optimiser } from './types.js';

export interface AdamWOptions extends DecayOptions {
  /** How much of the mean of gradients an update keeps; default 0.9. */
  readonly beta1?: number;
  /** How much of the mean of their squares an update keeps; default 0.999. */
  readonly beta2?: number;
  /** Added to the root of that mean; default 1e-8. */
  readonly epsilon?: number;
  /** Default 0.01. */
  readonly weightDecay?: number;
}

/**
 * Adam with decoupled weight decay. Of a parameter θ with gradient g, at its update t and learning rate α:
 *
 * ```
 * m = β1·m + (1 − β1)·g        v = β2·v + (1 − β2)·g²
 * θ = θ − α·(m / (1 − β1ᵗ) / (√(v / (1 − β2ᵗ)) + ε) + λ·θ)
 * ```
 *
 * Keeps `mean` and `square`, twice the memory of the parameters. (Loshchilov, Hutter 2019, arXiv 1711.05101; Adam: Kingma,
 * Ba 2014, arXiv 1412.6980.) Relative to the paper: the schedule and α are one number, so both multiply the decay; t
 * counts the updates of each parameter, so one that joins late is corrected as at a start.
 *
 * Of a gradient that is of rows (`GradientOptions.rows`), the update is that of these rows of θ, m and v alone; t counts all updates. Rows
 * without a gradient neither move nor decay, and their means stay as they are: a dense update would move them by their old mean, and
 * let both means fall, at every step. (As `SparseAdam` of PyTorch and `LazyAdam` of TensorFlow.)
 *
 * @throws OptionError naming everything against the options and the parameters.
 */
export function adamW(parameters: NamedTensors, options: AdamWOptions = {}): Optimiser {
  checkOptimiser('adamW', parameters, options, { beta1: fraction, beta2: fraction, epsilon: positive });
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0.01, decays } = options;
  const nextMean = average(x0, x1, beta1);
  const nextSquare = average(x0, x1.mul(x1), beta2);
  const next = expressionOf((decay: number, rate: number, spread: number) =>
    moved(decay, x1.mul(rate).div(x2.sqrt().mul(spread).add(epsilon))),
  );
  return optimiser(
    {
      name: 'adamW',
      updatesRows: true,
      slots: (shape) => ({ mean: shape, square: shape }),
      update: ({ parameter, gradient, slots, count, learningRate, decay, run }) => {
        const [mean, square] = [slots.mean!, slots.square!];
        run(nextMean, [mean, gradient], mean);
        run(nextSquare, [square, gradient], square);
        const rate = learningRate / (1 - beta1 ** count);
        const spread = 1 / Math.sqrt(1 - beta2 ** count);
        run(next(decay, rate, spread), [parameter, mean, square], parameter);
      },
    },
    parameters,
    { weightDecay, ...(decays && { decays }) },
  );
}
