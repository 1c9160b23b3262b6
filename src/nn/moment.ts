import type { Tensor } from '../tensor/index.js';
import type { Module, Training } from './module.js';
import type { Parameter } from './parameter.js';

interface Part {
  readonly module: Module;
  readonly parameters: readonly Parameter[];
  readonly trainings: readonly (Training | undefined)[];
}

/** The parameters and training steps of some modules and all below them as they are now, so that code can run as of now later. */
export class Moment {
  /** Each once, however many of the modules it is below. */
  readonly parameters: readonly Parameter[];
  /** Their values, in that order. */
  readonly values: readonly Tensor[];
  readonly #parts: readonly Part[];

  constructor(modules: readonly Module[]) {
    this.#parts = [...new Set(modules)].map((module) => ({
      module,
      parameters: [...module.namedParameters().values()],
      trainings: module.modules().map(({ training }) => training),
    }));
    this.parameters = [...new Set(this.#parts.flatMap(({ parameters }) => parameters))];
    this.values = this.parameters.map(({ value }) => value);
  }

  /** Runs `body` with the training steps of this moment, and with `tensors` as the values of `parameters`. */
  during<T>(tensors: readonly Tensor[], body: () => T): T {
    const at = new Map(this.parameters.map((parameter, i) => [parameter, tensors[i]!]));
    const run = this.#parts.reduceRight<() => T>(
      (inner, { module, parameters, trainings }) =>
        () =>
          module.during(
            parameters.map((parameter) => at.get(parameter)!),
            trainings,
            inner,
          ),
      body,
    );
    return run();
  }
}
