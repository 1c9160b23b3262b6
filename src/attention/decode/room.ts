import type { DeviceBuffer } from '../../devices/device.js';
import { flagCount } from '../../kernels/attend/spec.js';
import { raiseNonFinite, type NonFiniteFlags } from '../../ops/attend/bind.js';
import { runCopy } from '../../tensor/copy.js';
import { empty, writable, type Tensor } from '../../tensor/index.js';

/** Keys `[B, G, C, D]` and values `[B, G, C, E]`. */
export interface Rows {
  readonly k: Tensor;
  readonly v: Tensor;
}

/** Copies `count` rows of every head to rows of another tensor of as many heads and columns. */
export function copyRows(source: Tensor, from: number, target: Tensor, to: number, count: number): void {
  const [B, G, held, columns] = source.shape as [number, number, number, number];
  const walk = (rows: number, first: number) => ({ offset: first * columns, steps: [rows * columns, columns, 1] });
  runCopy([B * G, count, columns], source, walk(held, from), target, walk(target.shape[2]!, to));
}

/** Room for `capacity` rows of every head of `x`; belongs to the current scope. */
export const roomFor = (x: Tensor, capacity: number): Tensor =>
  empty([x.shape[0]!, x.shape[1]!, capacity, x.shape[3]!], 'f32', x.device, 'cache');

/** Room for keys and values, taken once. Remembers whether values that came in were NaN or Inf. */
export class Room implements Rows, NonFiniteFlags {
  readonly k: Tensor;
  readonly v: Tensor;
  readonly #flags: Tensor;

  /** For `capacity` tokens of the shapes of `k` and `v`; belongs to the current scope. */
  constructor(
    { k, v }: Rows,
    readonly capacity: number,
  ) {
    this.k = roomFor(k, capacity);
    this.v = roomFor(v, capacity);
    this.#flags = empty([flagCount], 'i32', k.device, 'cache');
    this.clear();
  }

  get tensors(): readonly Tensor[] {
    return [this.k, this.v, this.#flags];
  }

  get flags(): DeviceBuffer {
    return this.#flags.buffer;
  }

  /** Copies `count` tokens from `from` of a step to slot `to`. */
  write({ k, v }: Rows, from: number, to: number, count: number): void {
    copyRows(k, from, this.k, to, count);
    copyRows(v, from, this.v, to, count);
  }

  /** To be told of all values before attention reads them. */
  look(v: Tensor): void {
    raiseNonFinite(v, writable(this.#flags));
  }

  clear(): void {
    this.#flags.device.write(writable(this.#flags), new Int32Array(flagCount));
  }
}
