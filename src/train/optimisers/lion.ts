import { select } from '../../codegen/expression/index.js';
import { average, moved, expressionOf, x0, x1, x2 } from './expressions.js';
import { checkOptimiser, optimiser } from './optimiser.js';
import { fraction } from '../../core/requirements.js';
import type { DecayOptions, NamedTensors, Optimiser } from './types.js';

export interface LionOptions extends DecayOptions {
  /** How much of the momentum the direction of an update takes; default 0.9. */
  readonly beta1?: number;
  /** How much of the momentum an update keeps; default 0.99. */
  readonly beta2?: number;
  /** Default 0. The signs make large steps: the paper takes 3 to 10 times the decay of AdamW, and as much smaller rates. */
  readonly weightDecay?: number;
}

/**
 * Lion: every weight moves by the learning rate, in the direction of a sign. Of a parameter θ with gradient g:
 *
 * ```
 * θ = θ − α·(sign(β1·m + (1 − β1)·g) + λ·θ)        m = β2·m + (1 − β2)·g
 * ```
 *
 * Keeps `momentum`, as much memory as the parameters. (Chen et al. 2023, arXiv 2302.06675.)
 *
 * @throws OptionError naming everything against the options and the parameters.
 */
export function lion(parameters: NamedTensors, options: LionOptions = {}): Optimiser {
  checkOptimiser('lion', parameters, options, { beta1: fraction, beta2: fraction });
  const { beta1 = 0.9, beta2 = 0.99 } = options;
  const direction = average(x1, x2, beta1);
  // what is neither above nor below 0 is its own sign: 0, and NaN, which must not vanish
  const sign = select(direction.gt(0), 1, select(direction.lt(0), -1, direction));
  const next = expressionOf((decay: number, rate: number) => moved(decay, sign.mul(rate)));
  const nextMomentum = average(x0, x1, beta2);
  return optimiser(
    {
      name: 'lion',
      updatesRows: true,
      slots: (shape) => ({ momentum: shape }),
      update: ({ parameter, gradient, slots, learningRate, decay, run }) => {
        const momentum = slots.momentum!;
        run(next(decay, learningRate), [parameter, momentum, gradient], parameter);
        run(nextMomentum, [momentum, gradient], momentum);
      },
    },
    parameters,
    options,
  );
}
