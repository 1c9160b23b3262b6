import { CapabilityError } from '../core/errors.js';
import type { Dtype } from '../core/dtype.js';
import type { Shape } from '../core/shape.js';
import type { Device } from '../devices/device.js';
import { tensor } from './create.js';
import { noteBelow } from './integers.js';
import { keep } from './scope.js';
import { writable, type Tensor } from './tensor.js';

/** What a step reads of its place. */
export interface Fed {
  readonly shape: Shape;
  readonly dtype: Dtype;
  /** Of texts whose next tokens stand there. */
  readonly data: (starts: readonly number[]) => Float32Array | Int32Array;
  /** What integers stay below. */
  readonly below?: number;
}

/**
 * Where the next token of each text stands, for steps that are computed in the same way at every place: what depends on it is in
 * tensors, which `move` writes anew. So a step may be recorded once and run again.
 */
export class TextPlace {
  #starts: readonly number[];
  #sealed = false;
  readonly #fed = new Map<object, Map<string, { readonly fed: Fed; readonly tensor: Tensor }>>();

  constructor(
    readonly device: Device,
    starts: readonly number[],
  ) {
    this.#starts = starts;
  }

  /** Tokens of each text before. */
  get starts(): readonly number[] {
    return this.#starts;
  }

  /**
   * From now on nothing new may be asked for: a recording reads what was there before it. @internal
   */
  seal(): void {
    this.#sealed = true;
  }

  /** The tensor by this name of its owner, which belongs to the place; as `make` says where there is none yet. */
  feed(owner: object, name: string, make: () => Fed): Tensor {
    const own = this.#fed.get(owner) ?? new Map<string, { fed: Fed; tensor: Tensor }>();
    this.#fed.set(owner, own);
    const known = own.get(name);
    if (known !== undefined) return known.tensor;
    if (this.#sealed)
      throw new CapabilityError(`step: ${name} was not asked for at the place before; make it of every step.`);
    const fed = make();
    const made = keep(tensor(fed.data(this.#starts), fed.shape, { device: this.device, dtype: fed.dtype }));
    if (fed.below !== undefined) noteBelow(made, fed.below);
    own.set(name, { fed, tensor: made });
    return made;
  }

  move(starts: readonly number[]): void {
    this.#starts = starts;
    for (const own of this.#fed.values()) {
      for (const { fed, tensor: made } of own.values()) this.device.write(writable(made), fed.data(starts));
    }
  }

  dispose(): void {
    for (const own of this.#fed.values()) for (const { tensor: made } of own.values()) made.dispose();
    this.#fed.clear();
  }
}
