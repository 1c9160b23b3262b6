import type { Kernel } from '../codegen/kernel.js';
import type { FloatDtype } from '../core/dtype.js';
import { callable, checkValues, plainObject, wholeBetween, wholeFrom } from '../core/requirements.js';
import { RehearsalDevice, type DeviceLike, type KernelWork } from '../devices/index.js';
import { createModel, Transformer, type LanguageModel, type ModelConfig } from '../models/index.js';
import { checkConfig } from '../models/config.js';
import { precisions } from '../models/model.js';
import { lossScaler } from './loss-scale.js';
import { adamW, type NamedTensors, type Optimiser } from './optimisers/index.js';
import { someBatch, type HostBatch, type HostInput } from './micro-batch.js';
import { constantRate } from './schedules.js';
import { Trainer } from './trainer.js';

export interface RehearseTrainingOptions {
  readonly batchSize: number;
  /**
   * What a batch is, where it is not `length` tokens a row whose targets all count, with as many of a source for an encoder–decoder: lengths,
   * masks, other sizes. It has `batchSize` rows.
   */
  readonly batch?: HostBatch;
  /** The device that is rehearsed for. */
  readonly like: DeviceLike;
  /** Batches of one step; default 1. */
  readonly accumulate?: number;
  /** Default AdamW. */
  readonly optimiser?: (parameters: NamedTensors) => Optimiser;
  /** Default `'f32'`. */
  readonly precision?: FloatDtype;
}

/** What a training step takes; of steps that differ, the one that holds most. */
export interface TrainingCost {
  /** Numbers that are learned or drawn. */
  readonly parameters: number;
  /** Held all the time: parameters and the optimiser's state. */
  readonly restBytes: number;
  /** Most bytes held at a time within a step. */
  readonly peakBytes: number;
  readonly multiplyAdds: number;
  /** What each kernel did in a step, by name. */
  readonly work: ReadonlyMap<string, Readonly<KernelWork>>;
  /** What the steps run: `await device.compileAll(kernels)` before the first one compiles them on all processors. */
  readonly kernels: readonly Kernel[];
}

const count = wholeBetween(1, 2 ** 31 - 1, '2^31 - 1');
const requirements = {
  batchSize: count,
  batch: someBatch,
  like: plainObject,
  accumulate: count,
  optimiser: callable,
  precision: precisions,
};
const machine = { width: wholeFrom(1), threads: wholeFrom(1) };

/** @throws OptionError for what cannot be rehearsed. */
export function checkRehearsal(who: string, options: RehearseTrainingOptions): void {
  checkValues(who, options, requirements, ['batchSize', 'like']);
  const { width, threads } = options.like;
  checkValues(`${who}: like`, { width, threads }, machine, ['width', 'threads']);
}

/**
 * What one training step of a model would take, without computing it: the trainer itself runs on a device that only counts.
 *
 * @throws as the model and the trainer.
 */
export async function rehearseTraining(config: ModelConfig, options: RehearseTrainingOptions): Promise<TrainingCost> {
  checkRehearsal('rehearseTraining', options);
  checkConfig('rehearseTraining', config);
  const { batchSize, batch, like, accumulate = 1, optimiser = adamW, precision = 'f32' } = options;
  const device = new RehearsalDevice({ like, countPairs: false });
  const model = createModel(config).initialise({ device, seed: 0 });
  const rows = batch ?? batchOf(config, model, batchSize);
  let trainer: Trainer | undefined;
  try {
    trainer = new Trainer({
      device,
      model,
      optimiser,
      schedule: constantRate(1e-3),
      batches: { batchSize, length: config.length, batch: () => rows, startsAnew: (step) => step === 0 },
      accumulate,
      clip: 1,
      precision,
      lossScale: precision === 'f16' ? lossScaler() : undefined,
    });
    const restBytes = device.ledger.live();
    // a model with memory holds most once that is full
    for (let steps = Math.ceil(remembered(config) / (accumulate * config.length)); steps > 0; steps--)
      await trainer.step();
    const steps: Pick<TrainingCost, 'peakBytes' | 'multiplyAdds' | 'work'>[] = [];
    for (let left = phases(config); left > 0; left--) {
      const before = device.counters.multiplyAdds;
      const earlier = new Map([...device.work].map(([name, own]) => [name, { ...own }]));
      const { peakBytes } = await trainer.step();
      steps.push({ peakBytes, multiplyAdds: device.counters.multiplyAdds - before, work: since(earlier, device.work) });
      // from the second step on there is what the first one kept, such as what layers say of themselves
      if (steps.length === 1 && device.ledger.live() > restBytes) left++;
    }
    const parameters = [...model.namedParameters().values()].reduce((sum, { value }) => sum + value.size, 0);
    const largest = steps.reduce((most, step) => (step.peakBytes > most.peakBytes ? step : most));
    return { parameters, restBytes, kernels: device.kernels, ...largest };
  } finally {
    trainer?.dispose();
    model.dispose();
  }
}

/** As many tokens as a model is made for, and targets at all that its layers give. */
function batchOf({ kind, length }: ModelConfig, model: LanguageModel, batchSize: number): HostBatch {
  const ints = (columns: number): HostInput => ({
    data: new Int32Array(batchSize * columns),
    shape: [batchSize, columns],
  });
  const given = model instanceof Transformer ? model.stack.rowsFor(length) : length;
  return {
    inputs: { tokens: ints(length), targets: ints(given), ...(kind === 'encoder-decoder' && { source: ints(length) }) },
    counted: batchSize * given,
  };
}

/** Tokens of the text that fill a model's memory. */
function remembered({ memory }: ModelConfig): number {
  const { length, compressed, ratio } = memory;
  return length + (compressed > 0 ? (compressed + 1) * ratio - 1 : 0);
}

/** Steps until a memory is as long as it was: rows are compressed in whole groups, so some of one wait for the next step. */
const phases = ({ memory: { compressed, ratio } }: ModelConfig): number => (compressed > 0 ? ratio : 1);

/** What was done between two counts, by kernel. */
function since(
  before: ReadonlyMap<string, Readonly<KernelWork>>,
  after: ReadonlyMap<string, Readonly<KernelWork>>,
): ReadonlyMap<string, Readonly<KernelWork>> {
  const none: KernelWork = { dispatches: 0, multiplyAdds: 0, bytesMoved: 0 };
  const differences = [...after].map(([name, own]): [string, KernelWork] => {
    const { dispatches, multiplyAdds, bytesMoved } = before.get(name) ?? none;
    return [
      name,
      {
        dispatches: own.dispatches - dispatches,
        multiplyAdds: own.multiplyAdds - multiplyAdds,
        bytesMoved: own.bytesMoved - bytesMoved,
      },
    ];
  });
  return new Map(differences.filter(([, { dispatches }]) => dispatches > 0));
}
