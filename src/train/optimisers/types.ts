import type { Shape } from '../../core/shape.js';
import type { Gradient, Tensor } from '../../tensor/index.js';

/** Tensors by name, such as the parameters of a model. */
export type NamedTensors = readonly (readonly [name: string, tensor: Tensor])[];

/** What every optimiser takes. */
export interface DecayOptions {
  /** λ ≥ 0: each step takes `learningRate·λ` of the weights away, apart from the gradient. */
  readonly weightDecay?: number;
  /** Which parameters decay; default those of two axes or more, so no gains and no biases. */
  readonly decays?: (name: string, shape: Shape) => boolean;
}

export interface StepOptions {
  /** At least 0; see `schedules`. */
  readonly learningRate: number;
}

/** All that a later run needs besides the parameters and the options to continue with the same bits. */
export interface OptimiserState {
  readonly optimiser: string;
  /** Steps so far. */
  readonly steps: number;
  /** How many of those moved each parameter: those in which it had a gradient. */
  readonly updates: Readonly<Record<string, number>>;
  /** Named `<parameter>.<what>`, f32. */
  readonly tensors: NamedTensors;
}

/** Moves parameters against their gradients, in place on their device. */
export interface Optimiser {
  readonly name: string;
  /** Steps so far, also those of the run that was loaded. */
  readonly steps: number;
  /**
   * One update from `gradients`, f32 and in the order of the parameters; undefined leaves a parameter as it is, and one of rows
   * (`GradientOptions.rows`) all other rows, with what is kept of them. Whatever shares memory with a parameter changes with it, so the
   * backward pass must be over.
   *
   * @throws OptionError for a learning rate below 0 or so large that decay turns weights around; ShapeError naming every
   * gradient that does not fit; CapabilityError for one of rows where the optimiser keeps means over all. Nothing has changed then.
   */
  step(gradients: readonly (Gradient | undefined)[], options: StepOptions): void;
  /** The tensors themselves, which the next step changes; they belong to the optimiser. */
  state(): OptimiserState;
  /** Copies a state. @throws OptionError naming everything in it that does not fit; nothing has changed then. */
  load(state: OptimiserState): void;
  /** Frees the state, not the parameters. Idempotent. */
  dispose(): void;
}
