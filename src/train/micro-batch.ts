import { variable } from '../codegen/expression/index.js';
import type { FloatDtype } from '../core/dtype.js';
import type { Device } from '../devices/device.js';
import type { LanguageModel, Loss, ModelState } from '../models/model.js';
import { detach } from '../ops/index.js';
import { runElementwise } from '../tensor/elementwise.js';
import { gradients, keep, scope, tensor, type Tensor } from '../tensor/index.js';

/** Inputs and targets of a batch, `[B, L]` each in row-major order. Targets of −100 count for nothing. */
export interface TokensAndTargets {
  readonly tokens: Int32Array;
  readonly targets: Int32Array;
}

/** Where batches come from. Every batch follows from its number alone. */
export interface BatchSource {
  /** `B`. */
  readonly batchSize: number;
  /** `L`. */
  readonly length: number;
  /** Tokens `[B, L + 1]` in row-major order, each the target of the one before; or targets of their own. */
  batch(step: number): Int32Array | TokensAndTargets;
  /** Whether the rows of a batch do not go on where those before ended. */
  startsAnew(step: number): boolean;
}

/** One forward pass, and all it depends on beside the parameters. */
export interface Pass {
  readonly device: Device;
  readonly model: LanguageModel;
  readonly batches: BatchSource;
  /** The number of the batch; dropout draws by it too. */
  readonly index: number;
  readonly seed: number;
  readonly precision: FloatDtype;
  readonly state: ModelState | undefined;
}

export interface Found {
  /** `[]`. */
  readonly loss: Tensor;
  /** Of the leaves, in their order. */
  readonly found: Tensor[];
  readonly state: ModelState | undefined;
}

/** A batch as inputs and targets, `[B, L]` each. */
export function inputsAndTargets(
  batch: Int32Array | TokensAndTargets,
  { batchSize, length }: Pick<BatchSource, 'batchSize' | 'length'>,
  device: Device,
): [tokens: Tensor, targets: Tensor] {
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
  const shape = [batchSize, length];
  return [tensor(tokens, shape, { device }), tensor(targets, shape, { device })];
}

/** The loss of a batch in training, to be called in a scope. */
export function lossOf({ device, model, batches, index, seed, precision, state }: Pass): Loss {
  const [tokens, targets] = inputsAndTargets(batches.batch(index), batches, device);
  model.train({ seed, step: index });
  return model.loss(tokens, targets, { precision, state });
}

/** Loss, gradients multiplied by `factor`, and memory after a batch. They are in no scope. */
export function lossAndGradients(pass: Pass, leaves: readonly Tensor[], factor: number): Found {
  return keep(
    scope(() => {
      const { loss, auxiliary, state } = lossOf(pass);
      const outputs = [loss, ...(auxiliary?.requiresGradient ? [auxiliary] : [])];
      const cotangent = tensor([factor], [], { device: pass.device });
      const found = gradients(
        outputs,
        leaves,
        outputs.map(() => cotangent),
        { release: true },
      );
      return { loss: detach(loss), found, state };
    }),
  );
}

const sumOfTwo = variable('x0', 'f32').add(variable('x1', 'f32'));

/** Adds tensors in place, and frees those that were added. */
export function addTo(sums: readonly Tensor[], terms: readonly Tensor[]): void {
  sums.forEach((sum, i) => {
    runElementwise(sumOfTwo, [sum, terms[i]!], sum);
    terms[i]!.dispose();
  });
}

/** Frees what `before` holds and none of the others does. */
export function releaseState(before: ModelState | undefined, ...others: readonly (ModelState | undefined)[]): void {
  const held = new Set(others.flatMap((other) => Object.values(other ?? {})));
  for (const one of Object.values(before ?? {})) if (!held.has(one)) one.dispose();
}
