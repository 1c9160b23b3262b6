import { variable } from '../codegen/expression/index.js';
import type { FloatDtype } from '../core/dtype.js';
import {
  checkValues,
  having,
  listOfNumbers,
  plainObject,
  reasonsAgainst,
  type Requirement,
} from '../core/requirements.js';
import type { Device } from '../devices/device.js';
import { Mask } from '../masks/index.js';
import { someLists } from '../nn/layer.js';
import { IGNORED } from '../models/loss.js';
import type { Loss, Model, ModelState } from '../models/model.js';
import type { NamedTensors, Parameter } from '../nn/index.js';
import { detach } from '../ops/index.js';
import { runElementwise } from '../tensor/elementwise.js';
import { addGradients, gradients, keep, scope, tensor, type Gradient, type Tensor } from '../tensor/index.js';

/** Inputs and targets of a batch, `[B, L]` each in row-major order. Targets of −100 count for nothing. */
export interface TokensAndTargets {
  readonly tokens: Int32Array;
  readonly targets: Int32Array;
}

/** Numbers that become a tensor of the device: i32, or f32. */
export interface HostInput {
  readonly data: Int32Array | Float32Array;
  readonly shape: readonly number[];
}

/** A batch for `model.loss(batch)`, whatever the model reads. */
export interface HostBatch {
  /** The batch by name; lists of numbers, such as lengths, lists of such lists, and masks stay what they are. */
  readonly inputs: Readonly<Record<string, HostInput | readonly number[] | readonly (readonly number[])[] | Mask>>;
  /** Targets that count: what the model's mean is over, and so the weight of the batch in means over several. */
  readonly counted: number;
}

/** Where batches come from. Every batch follows from its number alone. */
export interface BatchSource {
  /** `B`. */
  readonly batchSize: number;
  /** `L`, the most targets of a row. */
  readonly length: number;
  /** Tokens `[B, L + 1]` in row-major order, each the target of the one before; targets of their own; or any inputs. */
  batch(step: number): Int32Array | TokensAndTargets | HostBatch;
  /** Whether the rows of a batch do not go on where those before ended. */
  startsAnew(step: number): boolean;
}

export const someBatches = having('a source of batches', 'batch', 'startsAnew');
export const someModel = having('a model with a loss', 'loss', 'learnedTensors', 'train', 'eval');

/** One forward pass, and all it depends on beside the parameters. */
export interface Pass {
  readonly device: Device;
  readonly model: Model<never>;
  readonly batch: HostBatch;
  /** The number of the batch: dropout draws by it. */
  readonly index: number;
  readonly seed: number;
  readonly precision: FloatDtype;
  readonly state: ModelState | undefined;
  /** What the gradients of its mean loss and of the losses of its layers are multiplied by. */
  readonly factors: { readonly loss: number; readonly losses: number };
}

export interface Found {
  /** `[]`, the model's mean over what counts; undefined where none does. */
  readonly loss: Tensor | undefined;
  /** Losses of layers, by name. */
  readonly losses: NamedTensors;
  /** What layers say of themselves, by name. */
  readonly statistics: NamedTensors;
  /** Of the leaves, in their order; undefined where nothing depends on them. */
  readonly found: Gradient[] | undefined;
  readonly state: ModelState | undefined;
  /** Next values of parameters that are not learned. */
  readonly updates: ReadonlyMap<Parameter, Tensor>;
}

const weight: Requirement = {
  must: 'a finite number of at least 0',
  holds: (value) => Number.isFinite(value) && (value as number) >= 0,
};
const named: Requirement = {
  must: 'an object of tensors { data, shape }, lists of numbers and masks',
  holds: (value) =>
    plainObject.holds(value) &&
    Object.values(value as object).every(
      (one) =>
        listOfNumbers.holds(one) ||
        someLists.holds(one) ||
        one instanceof Mask ||
        ArrayBuffer.isView((Object(one) as Partial<HostInput>).data),
    ),
};
const ofBatch = { inputs: named, counted: weight };
export const someBatch: Requirement = {
  must: 'a batch { inputs, counted }',
  holds: (value) => reasonsAgainst(value, ofBatch, ['inputs', 'counted']).length === 0,
};

/** A batch of a source by name. @throws OptionError for what is none. */
export function readBatch(batches: BatchSource, index: number): HostBatch {
  const { batchSize, length } = batches;
  const batch = batches.batch(index);
  if ('inputs' in batch) {
    checkValues('batches.batch', batch, ofBatch, ['inputs', 'counted']);
    return batch;
  }
  const shifted = (rows: Int32Array, by: number): Int32Array => {
    const data = new Int32Array(batchSize * length);
    for (let row = 0; row < batchSize; row++) {
      const from = row * (length + 1) + by;
      data.set(rows.subarray(from, from + length), row * length);
    }
    return data;
  };
  const { tokens, targets } =
    batch instanceof Int32Array ? { tokens: shifted(batch, 0), targets: shifted(batch, 1) } : batch;
  const counted = targets.reduce((count, target) => (target === IGNORED ? count : count + 1), 0);
  const shape = [batchSize, length];
  return { inputs: { tokens: { data: tokens, shape }, targets: { data: targets, shape } }, counted };
}

/** The mean loss of a batch, to be called in a scope. Where nothing counts there is no mean: the loss is one number per target, 0 each. */
export function lossOfBatch(
  { inputs, counted }: HostBatch,
  model: Model<never>,
  device: Device,
  options: Pick<Pass, 'precision' | 'state'> & { readonly predictions?: boolean },
): Loss {
  const named = Object.entries(inputs).map(([name, one]) => [
    name,
    'data' in one ? tensor(one.data, one.shape, { device }) : one,
  ]);
  // what a model reads is its own: it says what it misses
  return model.loss(Object.fromEntries(named) as never, { ...options, reduction: counted === 0 ? 'none' : 'mean' });
}

/** The loss of a batch in training, to be called in a scope. */
export function lossOf({ device, model, batch, index, seed, precision, state }: Pass): Loss {
  model.train({ seed, step: index });
  return lossOfBatch(batch, model, device, { precision, state });
}

/** Loss, gradients multiplied by the pass's factors, and memory after a batch. They are in no scope. */
export function lossAndGradients(pass: Pass, leaves: readonly Tensor[]): Found {
  const { device, batch, factors } = pass;
  return keep(
    scope(() => {
      const { loss, losses = {}, statistics = {}, state, updates = new Map<Parameter, Tensor>() } = lossOf(pass);
      const further = Object.values(losses).filter((one) => one.requiresGradient);
      const terms = [
        ...(batch.counted > 0 ? [[loss, factors.loss] as const] : []),
        ...further.map((one) => [one, factors.losses] as const),
      ];
      const found =
        terms.length === 0
          ? undefined
          : gradients(
              terms.map(([term]) => term),
              leaves,
              terms.map(([, factor]) => tensor([factor], [], { device })),
              { release: true, rows: true },
            );
      return {
        loss: batch.counted > 0 ? detach(loss) : undefined,
        losses: Object.fromEntries(Object.entries(losses).map(([name, one]) => [name, detach(one)])),
        statistics,
        found,
        state,
        updates,
      };
    }),
  );
}

/** The sums of gradients so far, if there are any, and of more; takes both over. */
export function addTo(sums: Gradient[] | undefined, terms: Gradient[] | undefined): Gradient[] | undefined {
  if (sums === undefined || terms === undefined) return sums ?? terms;
  return sums.map((sum, i) => addGradients(sum, terms[i]!));
}

/** Means of tensors over the batches that had them: next values of parameters that are not learned, and what layers say of themselves. */
export class Means<K> {
  readonly sums = new Map<K, Tensor>();
  readonly #counts = new Map<K, number>();

  /** Takes the tensors over. */
  add(some: Iterable<readonly [K, Tensor]>): void {
    for (const [key, next] of some) {
      const before = this.sums.get(key);
      this.sums.set(key, before === undefined ? next : addGradients(before, next));
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    }
  }

  /** The mean of those that each key had. */
  mean(): ReadonlyMap<K, Tensor> {
    for (const [key, sum] of this.sums) {
      const count = this.#counts.get(key)!;
      if (count > 1) runElementwise(variable('x0', 'f32').mul(1 / count), [sum], sum);
    }
    return this.sums;
  }
}

/** Frees what `before` holds and none of the others does. */
export function releaseState(before: ModelState | undefined, ...others: readonly (ModelState | undefined)[]): void {
  const held = new Set(others.flatMap((other) => Object.values(other ?? {})));
  for (const one of Object.values(before ?? {})) if (!held.has(one)) one.dispose();
}
