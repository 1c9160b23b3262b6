import { OptionError } from '../../core/errors.js';
import { moved, expressionOf, x0, x1, x2 } from './expressions.js';
import { checkOptimiser, optimiser } from './optimiser.js';
import { flag, fraction } from '../../core/requirements.js';
import type { DecayOptions, NamedTensors, Optimiser } from './types.js';

export interface SgdOptions extends DecayOptions {
  /** How much of the velocity an update keeps; default 0, which keeps none in memory. */
  readonly momentum?: number;
  /** Whether the step looks ahead along the velocity; default false. */
  readonly nesterov?: boolean;
  /** Default 0. */
  readonly weightDecay?: number;
}

/**
 * Gradient descent. Of a parameter θ with gradient g and momentum μ:
 *
 * ```
 * u = μ·u + g        θ = θ − α·(u + λ·θ)        Nesterov: θ = θ − α·(g + μ·u + λ·θ)
 * ```
 *
 * Keeps `velocity` where there is momentum, as much memory as the parameters. (Polyak 1964; Nesterov's variant as in
 * Sutskever, Martens, Dahl, Hinton 2013; decay as SGDW of Loshchilov, Hutter 2019, arXiv 1711.05101.) Relative to the
 * papers: the learning rate multiplies the velocity when it is used, not when it is gathered, so a change of the rate
 * takes effect at once.
 *
 * @throws OptionError naming everything against the options and the parameters, and for `nesterov` without momentum.
 */
export function sgd(parameters: NamedTensors, options: SgdOptions = {}): Optimiser {
  checkOptimiser('sgd', parameters, options, { momentum: fraction, nesterov: flag });
  const { momentum = 0, nesterov = false } = options;
  if (nesterov && momentum === 0) throw new OptionError('sgd: nesterov needs a momentum above 0; 0.9 is usual.');
  const velocityOf = x0.mul(momentum).add(x1);
  const next = expressionOf((decay: number, rate: number) => moved(decay, x1.mul(rate)));
  const nextAhead = expressionOf((decay: number, rate: number) => moved(decay, x2.add(x1.mul(momentum)).mul(rate)));
  return optimiser(
    {
      name: 'sgd',
      updatesRows: true,
      slots: (shape): Readonly<Record<string, typeof shape>> => (momentum === 0 ? {} : { velocity: shape }),
      update: ({ parameter, gradient, slots: { velocity }, learningRate, decay, run }) => {
        if (velocity === undefined) {
          run(next(decay, learningRate), [parameter, gradient], parameter);
          return;
        }
        run(velocityOf, [velocity, gradient], velocity);
        const expression = (nesterov ? nextAhead : next)(decay, learningRate);
        run(expression, [parameter, velocity, gradient], parameter);
      },
    },
    parameters,
    options,
  );
}
