import type { Recipe } from './extrapolate-train.js';

/** Evaluation reads tokens forward only, which takes about a third of a training step. */
const FORWARD = 1 / 3;

/** How much of the work is done, counted in tokens of training. */
export class Work {
  readonly #ofModel: number;
  readonly #ofMethod: number;
  readonly #all: number;
  readonly #steps: number;
  #done = 0;

  constructor(
    models: number,
    methods: number,
    times: readonly number[],
    scored: number,
    { steps, batchSize, length }: Pick<Recipe, 'steps' | 'batchSize'> & { readonly length: number },
  ) {
    this.#steps = steps;
    this.#ofModel = steps * batchSize * length;
    // sliding windows read each token twice, those side by side once
    this.#ofMethod = 3 * FORWARD * scored * times.length;
    this.#all = models * this.#ofModel + methods * this.#ofMethod;
  }

  get share(): number {
    return this.#done / this.#all;
  }

  training(step: number): number {
    return (this.#done + (this.#ofModel * step) / this.#steps) / this.#all;
  }

  trained(): void {
    this.#done += this.#ofModel;
  }

  evaluated(): void {
    this.#done += this.#ofMethod;
  }
}
