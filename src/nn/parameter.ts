import type { FloatDtype } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { sameShape, show } from '../core/shape.js';
import type { ParameterSpec } from '../attention/parameters.js';
import { detach } from '../ops/index.js';
import { argument } from '../ops/map.js';
import { runElementwise } from '../tensor/elementwise.js';
import { commonDevice, empty, keep, nameTensor, trackLeaf, type Tensor } from '../tensor/index.js';

/**
 * A place of a module that holds a tensor: an optimiser changes its numbers, `set` puts another tensor in the place. The tensor
 * belongs to the module and to no scope; the place disposes it when another comes or the module goes.
 */
export class Parameter {
  #value: Tensor | undefined;
  #storage: FloatDtype = 'f32';
  #frozen = false;

  /** Use `parameter` of a module. @internal */
  constructor(
    readonly spec: ParameterSpec,
    readonly path: () => string,
  ) {}

  /** Whether there is a tensor. */
  get filled(): boolean {
    return this.#value !== undefined;
  }

  /** A leaf that gradients flow to, if the parameter is learned. @throws OptionError before there is one. */
  get value(): Tensor {
    if (this.#value !== undefined) return this.#value;
    throw new OptionError(`parameter ${this.path()}: has no value; call initialise or load of the model first.`);
  }

  /** How its numbers are kept. */
  get storage(): FloatDtype {
    return this.#storage;
  }

  /** Whether training leaves it as it is. */
  get frozen(): boolean {
    return this.#frozen;
  }

  /**
   * Keeps its numbers so from now on, those that are there and those that come: halved in size, rounded to the nearest.
   *
   * @throws OptionError for 16 bits of a parameter that something reads which knows f32 alone.
   *
   * @internal
   */
  store(dtype: FloatDtype): void {
    if (dtype !== 'f32' && this.spec.narrows !== true) {
      throw new OptionError(`parameter ${this.path()}: is kept in f32, since not all that reads it takes ${dtype}.`);
    }
    if (dtype === this.#storage) return;
    this.#storage = dtype;
    if (this.#value !== undefined) this.#put(this.#value);
  }

  /** Whether training leaves it as it is from now on: no gradient flows to it then. @internal */
  freeze(frozen: boolean): void {
    if (frozen === this.#frozen) return;
    this.#frozen = frozen;
    if (this.#value !== undefined) this.#put(this.#value);
  }

  /** Takes `next` in the storage of this place. */
  #put(next: Tensor): void {
    const learned = this.spec.learned && !this.#frozen && this.#storage === 'f32';
    const before = this.#value;
    const own =
      next.dtype === this.#storage ? detach(next, { requiresGradient: learned }) : this.#converted(next, learned);
    this.#value = keep(own);
    nameTensor(this.#value, () => `parameter ${this.path()}`);
    before?.dispose();
  }

  #converted(next: Tensor, learned: boolean): Tensor {
    const copy = empty(next.shape, this.#storage, next.device, 'parameter');
    runElementwise(argument(0), [next], copy);
    if (learned) trackLeaf(copy);
    return copy;
  }

  /**
   * Takes the numbers of `next`, such as what an optimiser step gives. They are not copied where they are stored as here, and stay in the ledger
   * under the category they were made with; `next` itself stays the caller's.
   *
   * @throws ShapeError for another shape; OptionError for a dtype that is neither f32 nor that of this place.
   */
  set(next: Tensor): void {
    const { shape } = this.spec;
    commonDevice(`parameter ${this.path()}`, [next]);
    if (!sameShape(next.shape, shape)) {
      throw new ShapeError(`parameter ${this.path()}: takes a tensor ${show(shape)}; got ${show(next.shape)}.`);
    }
    if (next.dtype !== 'f32' && next.dtype !== this.#storage) {
      throw new OptionError(`parameter ${this.path()}: takes f32; got ${next.dtype}. Use cast first.`);
    }
    this.#put(next);
  }

  /** Puts another tensor in the place for a while, without taking it over; returns the one that was there. @internal */
  lend(tensor: Tensor | undefined): Tensor | undefined {
    const before = this.#value;
    this.#value = tensor;
    return before;
  }

  dispose(): void {
    this.#value?.dispose();
    this.#value = undefined;
  }
}
