import { checkRate, dropout, type DropoutOptions } from '../ops/dropout.js';
import { checkValues, wholeFrom } from '../core/requirements.js';
import { commonDevice, type Tensor } from '../tensor/index.js';
import { Module } from './module.js';
import { stepSeed } from './step-seed.js';

/**
 * `dropout` in training, the identity otherwise. What is dropped depends on the seed, the step, the module's path, and the
 * element's row and column alone: a resumed run, a recomputed layer and a chunk of the rows see the same, and so does a layer that
 * is called twice in a step.
 *
 * @throws OptionError unless 0 ≤ rate < 1.
 */
export class Dropout extends Module {
  constructor(readonly rate: number) {
    super();
    checkRate('Dropout', rate);
  }

  /** `x [..., D]`, some of it dropped; x itself where nothing is. @throws OptionError for integers. */
  forward(x: Tensor, place: Pick<DropoutOptions, 'firstRow'> = {}): Tensor {
    commonDevice('Dropout', [x]);
    checkValues('Dropout', place, { firstRow: wholeFrom(0) });
    const step = stepSeed(this, 'dropout');
    return step === undefined ? x : dropout(x, { rate: this.rate, ...step, ...place });
  }
}
