import { OptionError, ShapeError } from '../core/errors.js';
import { sameShape, show } from '../core/shape.js';
import type { ParameterSpec } from '../attention/parameters.js';
import { detach } from '../ops/index.js';
import { commonDevice, keep, nameTensor, type Tensor } from '../tensor/index.js';

/**
 * A place of a module that holds a tensor: an optimiser changes its numbers, `set` puts another tensor in the place. The tensor
 * belongs to the module and to no scope; the place disposes it when another comes or the module goes.
 */
export class Parameter {
  #value: Tensor | undefined;

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

  /**
   * Takes the numbers of `next`, such as what an optimiser step gives. They are not copied, and stay in the ledger under the
   * category they were made with; `next` itself stays the caller's.
   *
   * @throws ShapeError for another shape; OptionError for a dtype that is not f32.
   */
  set(next: Tensor): void {
    const { shape, learned } = this.spec;
    commonDevice(`parameter ${this.path()}`, [next]);
    if (!sameShape(next.shape, shape)) {
      throw new ShapeError(`parameter ${this.path()}: takes a tensor ${show(shape)}; got ${show(next.shape)}.`);
    }
    if (next.dtype !== 'f32') {
      throw new OptionError(`parameter ${this.path()}: takes f32; got ${next.dtype}. Use cast first.`);
    }
    const before = this.#value;
    this.#value = keep(detach(next, { requiresGradient: learned }));
    nameTensor(this.#value, () => `parameter ${this.path()}`);
    before?.dispose();
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
