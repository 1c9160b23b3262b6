import type { FloatDtype } from '../core/dtype.js';
import { OptionError } from '../core/errors.js';
import type { Device } from '../devices/device.js';
import type { Model, ModelState } from '../models/model.js';
import { callable, checkValues, positive } from '../core/requirements.js';
import { precisions } from '../models/model.js';
import { detach } from '../ops/index.js';
import { disposeAll, keep, noGradient, scope, someDevice } from '../tensor/index.js';
import { lossOfBatch, readBatch, releaseState, someBatches, someModel, type BatchSource } from './micro-batch.js';

export interface EvaluateOptions {
  readonly device: Device;
  readonly model: Model<never>;
  /** Of the text that is evaluated, in its own order, or in streams for a model with memory. */
  readonly batches: BatchSource & { readonly windows: number };
  /** Windows at most; default all. Of a model without memory they lie evenly over the text, otherwise at its start. */
  readonly windows?: number;
  /** Default `'f32'`. */
  readonly precision?: FloatDtype;
  /** Told the likeliest token of each target of a batch, and the targets, −100 among them. */
  readonly onPredictions?: (predictions: ArrayLike<number>, targets: ArrayLike<number>) => void;
}

export interface Evaluation {
  /** Mean cross-entropy of the targets that count, in nats. */
  readonly loss: number;
  /** How many those are. */
  readonly tokens: number;
  /** Windows that were evaluated. */
  readonly windows: number;
}

const requirements = {
  device: someDevice,
  model: someModel,
  batches: someBatches,
  windows: positive,
  precision: precisions,
  onPredictions: callable,
};

/**
 * The mean loss of the targets of windows that do not overlap. Dropout is off, and nothing is drawn: equal weights give equal bits. Windows that do
 * not fill a batch are left out, unless `batchSize` divides their number.
 *
 * @throws OptionError where no target counts.
 */
export async function evaluate(options: EvaluateOptions): Promise<Evaluation> {
  checkValues('evaluate', options, requirements, ['device', 'model', 'batches']);
  const { device, model, batches, windows = Infinity, precision = 'f32', onPredictions } = options;
  const all = Math.floor(batches.windows / batches.batchSize);
  const count = Math.max(1, Math.min(all, Math.floor(windows / batches.batchSize)));
  const streams = all > 1 && !batches.startsAnew(1);
  model.eval();
  let [total, counted, memory]: [number, number, ModelState | undefined] = [0, 0, undefined];
  try {
    for (let at = 0; at < count; at++) {
      const index = streams ? at : Math.floor((at * all) / count);
      const batch = readBatch(batches, index);
      const { loss, predictions, state } = keep(
        scope(() =>
          noGradient(() => {
            const passed = { precision, state: streams ? memory : undefined };
            const wanted = onPredictions === undefined ? {} : { predictions: true };
            const result = lossOfBatch(batch, model, device, { ...passed, ...wanted });
            return { loss: detach(result.loss), predictions: result.predictions, state: result.state };
          }),
        ),
      );
      releaseState(memory, state);
      memory = state;
      if (batch.counted > 0) total += batch.counted * (await loss.item());
      counted += batch.counted;
      const targets = batch.inputs['targets'];
      if (predictions !== undefined && targets !== undefined && 'shape' in targets) {
        onPredictions!(await predictions.data(), targets.data);
      }
      disposeAll([loss, predictions]);
    }
    if (counted === 0) {
      throw new OptionError(
        'evaluate: no target of these windows counts, so there is no mean; give text with targets.',
      );
    }
    return { loss: total / counted, tokens: counted, windows: count * batches.batchSize };
  } finally {
    releaseState(memory);
  }
}
