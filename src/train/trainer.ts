import type { FloatDtype } from '../core/dtype.js';
import { FormatError, NumericsError, OptionError } from '../core/errors.js';
import { anything, callable, checkValues, having, wholeFrom, type Requirement } from '../core/requirements.js';
import type { Device } from '../devices/device.js';
import { precisions, type Model, type ModelState } from '../models/model.js';
import type { Parameter } from '../nn/index.js';
import { disposeAll, scope, someDevice, type Gradient, type Tensor } from '../tensor/index.js';
import type { Json, LoadedCheckpoint, TensorSources } from './checkpoint/index.js';
import { sourceOf } from './checkpoint/index.js';
import { clipGradients, type NamedGradients } from './clip.js';
import { checkFinite, firstNonFinite } from './diagnose.js';
import type { LossScaler } from './loss-scale.js';
import {
  addTo,
  lossAndGradients,
  Means,
  readBatch,
  releaseState,
  someBatches,
  someModel,
  type BatchSource,
  type Pass,
} from './micro-batch.js';
import type { NamedTensors, Optimiser, OptimiserState } from './optimisers/index.js';
import { after, readTensors } from './read-tensors.js';
import type { Schedule } from './schedules.js';

export interface TrainerOptions {
  readonly device: Device;
  /** Initialised, or loaded. It stays the caller's. */
  readonly model: Model<never>;
  /** Makes the optimiser of the learned parameters. */
  readonly optimiser: (parameters: NamedTensors) => Optimiser;
  readonly schedule: Schedule;
  readonly batches: BatchSource;
  /** Batches that make one step, as if they were one: the mean is over the targets of all; default 1. */
  readonly accumulate?: number;
  /** The largest norm of all gradients together; default: none. */
  readonly clip?: number;
  /** Default `'f32'`. */
  readonly precision?: FloatDtype;
  /** What f16 needs, so that small gradients do not vanish. */
  readonly lossScale?: LossScaler | undefined;
  /** Of dropout; default 0. */
  readonly seed?: number;
  /** Of learned parameters, by name, those that are trained; the others stay as they are. Default all. */
  readonly only?: (name: string) => boolean;
}

export interface StepResult {
  /** Steps so far, this one included. */
  readonly step: number;
  /** Mean over the targets that count, in nats. Not finite only where the step was skipped. */
  readonly loss: number;
  /** Of the layers, such as the balance of experts, by name: the mean over the batches of the step. */
  readonly losses?: Readonly<Record<string, number>>;
  /** Before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  /** Targets that counted. */
  readonly tokens: number;
  readonly seconds: number;
  readonly peakBytes: number;
  /** What the loss was multiplied by, where it is scaled. */
  readonly lossScale?: number;
  /** Nothing moved: the gradients overflowed in f16, and the scale fell; or no target counted. */
  readonly skipped: boolean;
}

/** What layers say of themselves, the mean over `steps`: lists of numbers by name, of one number or one for each expert. */
export interface Statistics {
  readonly steps: number;
  readonly values: Readonly<Record<string, readonly number[]>>;
}

/** A batch of a step. */
interface Part {
  readonly counted: number;
  readonly passOf: (memory: ModelState | undefined) => Pass;
}

/** What all batches of a step came to. */
interface Passed {
  readonly loss: number;
  readonly losses: Readonly<Record<string, number>>;
  /** Of each batch. */
  readonly statistics: readonly (readonly [name: string, value: Tensor])[];
  readonly found: Gradient[] | undefined;
  readonly memory: ModelState | undefined;
  /** Of the batches of the step, the mean. */
  readonly updates: ReadonlyMap<Parameter, Tensor>;
  readonly tokens: number;
}

const limit: Requirement = {
  must: 'a number above 0',
  holds: (value) => typeof value === 'number' && value > 0,
};
const requirements = {
  device: someDevice,
  model: someModel,
  optimiser: callable,
  schedule: callable,
  batches: someBatches,
  accumulate: wholeFrom(1),
  clip: limit,
  precision: precisions,
  lossScale: having('a scale, as lossScaler makes', 'update', 'state', 'load'),
  seed: wholeFrom(0),
  only: callable,
};

/** Names of the tensors of a checkpoint begin with what they belong to. */
export const PREFIX = { model: 'model.', optimiser: 'optimiser.', memory: 'memory.' } as const;

/**
 * Trains a model, one step of the optimiser at a time. Step `s` (from 0) has the batches `A·s … A·s + A − 1`, A being
 * `accumulate`, and each forward pass draws its dropout by the number of its batch: everything follows from the seed and the
 * step, and a trainer that was loaded goes on with the same bits.
 */
export class Trainer {
  schedule: Schedule;
  readonly options: TrainerOptions;
  readonly #accumulate: number;
  #learned: ReadonlyMap<string, Tensor>;
  #optimiser: Optimiser;
  #step = 0;
  /** What a model with memory has seen. */
  #memory: ModelState | undefined;
  /** What layers said of themselves since they were asked, and in how many steps. */
  #statistics = new Means<string>();
  #told = 0;

  /** @throws OptionError for an accumulate that is not a whole number of at least 1, f16 without a loss scale, or nothing to train. */
  constructor(options: TrainerOptions) {
    checkValues('trainer', options, requirements, ['device', 'model', 'optimiser', 'schedule', 'batches']);
    const { accumulate = 1, precision = 'f32', lossScale } = options;
    if (precision === 'f16' && lossScale === undefined) {
      throw new OptionError('trainer: precision f16 needs a lossScale, or small gradients become 0.');
    }
    this.options = options;
    this.schedule = options.schedule;
    this.#accumulate = accumulate;
    this.#learned = this.#trained();
    const made = options.optimiser([...this.#learned]);
    checkValues('trainer', { optimiser: made }, { optimiser: having('a function that makes an optimiser', 'step') }, [
      'optimiser',
    ]);
    this.#optimiser = made;
  }

  #trained(): ReadonlyMap<string, Tensor> {
    const { model, only = () => true } = this.options;
    const all = model.learnedTensors();
    const trained = new Map([...all].filter(([name]) => only(name)));
    if (trained.size > 0 || all.size === 0) return trained;
    throw new OptionError(
      `trainer: only names none of the ${all.size} learned parameters, such as ${[...all.keys()][0]}.`,
    );
  }

  /** Steps so far, those of the run that was loaded included. */
  get steps(): number {
    return this.#step;
  }

  /** Targets of a step in which all count. */
  get tokensPerStep(): number {
    const { batchSize, length } = this.options.batches;
    return this.#accumulate * batchSize * length;
  }

  /**
   * One step.
   *
   * @throws NumericsError naming the layer or gradient that first held a NaN or an infinity, when the loss or a gradient does and
   * no smaller loss scale can help. The model, the optimiser and the trainer are then as before.
   */
  async step(): Promise<StepResult> {
    const { device, clip = Infinity, lossScale } = this.options;
    const begin = performance.now();
    device.ledger.mark();
    const learningRate = this.schedule(this.#step + 1);
    const scale = lossScale?.scale;
    const parts = this.#parts(scale ?? 1);
    const { loss, losses, statistics, found, memory, updates, tokens } = await this.#passes(parts);
    const before = this.#memory;
    let said = false;
    try {
      const named: NamedGradients = [...this.#learned.keys()].map((name, i) => [name, found?.[i]]);
      const { norm, nonFinite } = await clipGradients(named, clip, scale === undefined ? {} : { unscale: scale });
      const overflowed = nonFinite !== undefined || (tokens > 0 && !Number.isFinite(loss));
      if (overflowed && lossScale?.canFall !== true) throw await this.#refusal(parts, loss);
      const skipped = overflowed || tokens === 0 || found === undefined;
      if (!skipped) {
        this.#optimiser.step(found, { learningRate });
        for (const [parameter, next] of updates) parameter.set(next);
      }
      if (tokens > 0) lossScale?.update(overflowed);
      // a text whose loss is not finite is begun anew
      this.#memory = overflowed && !Number.isFinite(loss) ? undefined : memory;
      this.#step++;
      this.#statistics.add(statistics);
      said = true;
      this.#told++;
      return {
        step: this.#step,
        loss,
        ...(Object.keys(losses).length > 0 && { losses }),
        gradientNorm: norm,
        learningRate,
        tokens,
        seconds: (performance.now() - begin) / 1000,
        peakBytes: device.ledger.peak,
        ...(scale === undefined ? {} : { lossScale: scale }),
        skipped,
      };
    } finally {
      disposeAll([found, updates]);
      if (!said) disposeAll(statistics.map(([, one]) => one));
      for (const one of [before, memory]) releaseState(one, this.#memory);
    }
  }

  /**
   * What layers said of themselves, by name and the number of the layer, such as `load.3` of its experts: the means over the steps since this was last
   * asked, or since training began or went on. Nothing of it is read from the device before. Undefined where none says anything.
   */
  async statistics(): Promise<Statistics | undefined> {
    const [steps, means] = [this.#told, this.#statistics.mean()];
    [this.#statistics, this.#told] = [new Means(), 0];
    if (means.size === 0) return undefined;
    try {
      const read = [...means].map(async ([name, mean]) => [name, Array.from(await mean.data())] as const);
      return { steps, values: Object.fromEntries(await Promise.all(read)) };
    } finally {
      disposeAll(means);
    }
  }

  /** The batches of the step, each weighted by its share of all targets, as passes of the memory that the one before left. */
  #parts(scale: number): Part[] {
    const { device, model, batches, precision = 'f32', seed = 0 } = this.options;
    const first = this.#step * this.#accumulate;
    const read = Array.from({ length: this.#accumulate }, (_, part) => readBatch(batches, first + part));
    const all = read.reduce((sum, { counted }) => sum + counted, 0);
    return read.map((batch, part) => {
      const index = first + part;
      const factors = { loss: scale * (batch.counted / Math.max(1, all)), losses: scale / this.#accumulate };
      const passOf = (memory: ModelState | undefined): Pass => ({
        device,
        model,
        batch,
        index,
        seed,
        precision,
        factors,
        state: batches.startsAnew(index) ? undefined : memory,
      });
      return { counted: batch.counted, passOf };
    });
  }

  /** Loss, gradients and memory after all batches of the step; nothing of the trainer changes. */
  async #passes(parts: readonly Part[]): Promise<Passed> {
    let found: Gradient[] | undefined;
    let memory = this.#memory;
    let [total, tokens] = [0, 0];
    const losses: Record<string, number> = {};
    const updates = new Means<Parameter>();
    const statistics: (readonly [string, Tensor])[] = [];
    try {
      for (const { counted, passOf } of parts) {
        const one = lossAndGradients(passOf(memory), [...this.#learned.values()]);
        releaseState(memory, one.state, this.#memory);
        memory = one.state;
        found = addTo(found, one.found);
        updates.add(one.updates);
        statistics.push(...Object.entries(one.statistics));
        for (const [name, each] of Object.entries(one.losses)) {
          losses[name] = (losses[name] ?? 0) + (await each.item()) / this.#accumulate;
        }
        if (one.loss !== undefined) {
          total += counted * (await one.loss.item());
          tokens += counted;
        }
        disposeAll([one.loss, one.losses]);
      }
      return { loss: total / tokens, losses, statistics, found, memory, updates: updates.mean(), tokens };
    } catch (error) {
      disposeAll([found, updates.sums, statistics.map(([, one]) => one)]);
      releaseState(memory, this.#memory);
      throw error;
    }
  }

  async #refusal(parts: readonly Part[], loss: number): Promise<NumericsError> {
    const passes = parts.map(({ passOf }) => passOf);
    const where = await firstNonFinite(passes, this.#memory, this.#learned);
    const what = Number.isFinite(loss) ? 'a gradient' : `the loss (${loss})`;
    return new NumericsError(
      `train: ${what} of step ${this.#step + 1} is not finite; first ${where}. ` +
        'Nothing was updated. Lower the rate, clip gradients, or lengthen the warm-up.',
    );
  }

  /** All that a later run needs to go on, beside the options. The tensors are read when they are written. */
  content(): { readonly tensors: TensorSources; readonly state: Json } {
    const { model, lossScale } = this.options;
    const { tensors, ...counts } = this.#optimiser.state();
    const named = (
      prefix: string,
      entries: Iterable<readonly [string, Tensor]>,
    ): [string, ReturnType<typeof sourceOf>][] =>
      [...entries].map(([name, tensor]) => [prefix + name, sourceOf(tensor)]);
    return {
      tensors: Object.fromEntries([
        ...named(PREFIX.model, model.stateDict()),
        ...named(PREFIX.optimiser, tensors),
        ...named(PREFIX.memory, Object.entries(this.#memory ?? {})),
      ]),
      state: { step: this.#step, optimiser: counts, ...(lossScale && { lossScale: lossScale.state() }) },
    };
  }

  /**
   * Takes over what `content` gave and a checkpoint kept.
   *
   * @throws FormatError or OptionError for the state of another optimiser or precision, ShapeError naming every tensor that does not
   * fit the model, NumericsError naming one that holds a NaN or an infinity.
   */
  async load(checkpoint: LoadedCheckpoint): Promise<void> {
    checkValues('trainer.load', checkpoint, { tensors: anything, state: anything }, ['tensors', 'state']);
    const { tensors: file, state } = checkpoint;
    const { device, model, optimiser, lossScale } = this.options;
    const {
      step,
      optimiser: counts,
      lossScale: scale,
    } = (state ?? {}) as {
      step?: number;
      optimiser?: Omit<OptimiserState, 'tensors'>;
      lossScale?: Json;
    };
    if (!Number.isSafeInteger(step) || counts === undefined || (scale === undefined) !== (lossScale === undefined)) {
      throw new FormatError(
        'trainer: the checkpoint is not one of this trainer; resume with the options it was made with.',
      );
    }
    const [weights, slots, memory] = await Promise.all([
      readTensors(file, { device, names: after(PREFIX.model) }),
      readTensors(file, { device, names: after(PREFIX.optimiser) }),
      readTensors(file, { device, names: after(PREFIX.memory) }),
    ]);
    try {
      scope(() => model.load(weights));
      // the tensors that the old one moves are gone
      this.#optimiser.dispose();
      this.#learned = this.#trained();
      this.#optimiser = optimiser([...this.#learned]);
      this.#optimiser.load({ ...counts, tensors: [...slots] });
      if (scale !== undefined) lossScale!.load(scale);
      await checkFinite(`train: checkpoint "${file.name}"`, model);
    } finally {
      disposeAll([weights, slots]);
    }
    disposeAll(this.#memory);
    this.#memory = memory.size === 0 ? undefined : Object.fromEntries(memory);
    this.#step = step!;
  }

  /** Frees what the optimiser keeps and the memory of the text, not the model. */
  dispose(): void {
    this.#optimiser.dispose();
    disposeAll([this.#memory, this.#statistics.sums]);
    this.#memory = undefined;
    this.#statistics = new Means();
  }
}
