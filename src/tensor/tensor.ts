// for those whose settings name an older library of types: a tensor can be disposed of by `using`
/// <reference lib="esnext.disposable" preserve="true" />
import { bytesPerElement, decode, type Dtype, type HostArray } from '../core/dtype.js';
import { describe as describeValue } from '../core/describe.js';
import { OptionError } from '../core/errors.js';
import { callable, checkValue, type Requirement } from '../core/requirements.js';
import { show, sizeOf } from '../core/shape.js';
import type { Device, DeviceBuffer } from '../devices/device.js';
import type { Category } from '../devices/ledger.js';
import { describe } from './describe.js';
import { countLeak, register, unregister, type Frame } from './registry.js';
import { Storage, type Lifetime } from './storage.js';
import type { TrackOf } from './track.js';

// Node 20 has the symbol; where an engine lacks it, the method is simply not found by name
const disposeSymbol: typeof Symbol.dispose = Symbol.dispose ?? (Symbol('dispose') as typeof Symbol.dispose);

// by name, since a page has no node:util
const inspectSymbol = Symbol.for('nodejs.util.inspect.custom');

/** The members that the rest of this folder needs and users do not. */
export const internals: unique symbol = Symbol('internals');

/** What a tensor holds: outlives the tensor in the finaliser, so it must not refer to it. */
interface Held {
  readonly storage: Storage;
  lifetime: Lifetime | undefined;
}

function release(held: Held): void {
  held.storage.release();
  held.lifetime?.release();
}

const finaliser = new FinalizationRegistry<Held>((held) => {
  countLeak();
  release(held);
});

/** Tape, storage and scope of a tensor. */
class Internals {
  track: TrackOf<Tensor> | undefined;
  disposed = false;
  /** While above 0, a disposed tensor is readable: it was saved, and the tape is running its entry. */
  revived = 0;
  frame: Frame | undefined;
  /** What errors call it, such as a parameter's path. */
  name: (() => string) | undefined;

  constructor(readonly held: Held) {}

  /** Makes the tensor output `index` of a tape entry. */
  follow(track: TrackOf<Tensor>): void {
    this.track = track;
    this.held.lifetime = track.entry?.lifetime;
    this.held.lifetime?.retain();
  }
}

/**
 * A value on a device: numbers of one dtype, contiguous in row-major order. Operations never change one; what writes in place, such
 * as an optimiser's step, is noticed: a backward pass refuses to read a tensor that was changed since it was saved.
 *
 * Device memory is freed by `dispose()`, by the `scope` the tensor was created in, or by `using`; the garbage collector
 * is only a safety net. Make tensors with `tensor`, `zeros`, `full`; change them with the functions of `ops`, which
 * chain: `x.pipe(gelu).pipe(sum, { axes: -1 })`.
 */
export class Tensor {
  /** Bytes of the tensor, shared with tensors that are reshapes of it. @internal */
  readonly [internals]: Internals;

  /** Use `tensor` or `empty`. Takes over one reference to `storage`. @internal */
  constructor(
    storage: Storage,
    readonly shape: readonly number[],
    readonly dtype: Dtype,
  ) {
    const held: Held = { storage, lifetime: undefined };
    this[internals] = new Internals(held);
    this[internals].frame = register(this);
    finaliser.register(this, held, this);
  }

  get device(): Device {
    return this[internals].held.storage.device;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** Number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  get byteLength(): number {
    return this.size * bytesPerElement[this.dtype];
  }

  /** Whether `gradients` may be asked for this tensor or for what is computed from it. */
  get requiresGradient(): boolean {
    return this[internals].track !== undefined;
  }

  get disposed(): boolean {
    return this[internals].disposed;
  }

  /** Where the elements lie. @throws OptionError once the tensor was disposed. */
  get buffer(): DeviceBuffer {
    return storageOf(this).buffer;
  }

  /**
   * The elements, copied to the host in row-major order; f16 and bf16 come back as `Float32Array`.
   *
   * @throws OptionError once the tensor was disposed.
   */
  async data(): Promise<HostArray> {
    const { device, buffer } = storageOf(this);
    return decode(await device.read(buffer, 0, this.byteLength), this.dtype);
  }

  /** The only element, as a number. @throws OptionError when there is not exactly one. */
  async item(): Promise<number> {
    if (this.size !== 1) throw new OptionError(`item: takes a tensor of one element; got ${show(this.shape)}.`);
    return (await this.data())[0]!;
  }

  /** `f(this, ...rest)`: chains the functions of `ops`. */
  pipe<Rest extends readonly unknown[], Result>(f: (x: Tensor, ...rest: Rest) => Result, ...rest: Rest): Result {
    checkValue('pipe', 'f', f, callable);
    return f(this, ...rest);
  }

  /** Shape, dtype, device and, on a CPU device, the first values, in a line: what `console.log` shows in Node. */
  toString(): string {
    return describe(this, this.disposed ? undefined : storageOf(this));
  }

  /** @internal */
  [inspectSymbol](): string {
    return this.toString();
  }

  /** Frees the device memory unless a reshape or the tape still needs it. Idempotent. */
  dispose(): void {
    const own = this[internals];
    if (own.disposed) return;
    own.disposed = true;
    unregister(this, own.frame);
    finaliser.unregister(this);
    release(own.held);
  }

  [disposeSymbol](): void {
    this.dispose();
  }
}

/** Errors call the tensor so from now on. @internal */
export function nameTensor(tensor: Tensor, name: () => string): void {
  const own = tensor[internals];
  own.name = name;
  if (own.track !== undefined) own.track.name = name;
}

/** What errors call a tensor: `parameter head.weight f32[2,3]`, or without a name `a tensor f32[2,3]`. @internal */
export function describeTensor(tensor: Tensor): string {
  return `${tensor[internals].name?.() ?? 'a tensor'} ${tensor.dtype}${show(tensor.shape)}`;
}

/** The storage of a live tensor. @throws OptionError for what is not a tensor, or once it was disposed. */
export function storageOf(tensor: Tensor, who?: string): Storage {
  // every operation comes through here, and before it reads a shape
  const own = (tensor as Tensor | null | undefined)?.[internals];
  if (own === undefined) throw noTensor(tensor, who);
  const { disposed, revived, held } = own;
  if (disposed && revived === 0) {
    throw new OptionError(
      `${who === undefined ? '' : `${who}: `}${describeTensor(tensor)} was disposed, by dispose() or at the end of its scope; ` +
        'return it from the scope, keep() it, or compute it again.',
    );
  }
  return held.storage;
}

/**
 * Where the elements lie, for whoever writes to a tensor that may be in other hands already: an optimiser, a cache, a sum that
 * grows. This is the one way, so that backward passes notice.
 */
export const writable = (tensor: Tensor): DeviceBuffer => storageOf(tensor).writable();

const noTensor = (value: unknown, who = 'tensor'): OptionError =>
  new OptionError(`${who}: takes tensors, such as tensor(data, shape) makes; got ${describeValue(value)}.`);

/** Another tensor on the same storage. The shapes must have the same size; the tape does not see it. */
export function share(tensor: Tensor, shape: readonly number[] = tensor.shape): Tensor {
  return new Tensor(storageOf(tensor).retain(), shape, tensor.dtype);
}

/** The same, while anyone still holds the storage, the tape included; then the tensor itself may be disposed. */
export function shareHeld(tensor: Tensor): Tensor | undefined {
  const { storage } = tensor[internals].held;
  return storage.references > 0 ? new Tensor(storage.retain(), tensor.shape, tensor.dtype) : undefined;
}

/** A tensor whose contents are undefined, to be written by a kernel at once. */
export function empty(shape: readonly number[], dtype: Dtype, device: Device, category: Category = 'tensor'): Tensor {
  const buffer = device.allocate(sizeOf(shape) * bytesPerElement[dtype], category);
  return new Tensor(new Storage(device, buffer), [...shape], dtype);
}

/** A tensor that `write` fills; disposed again when that fails. */
export function produce(
  shape: readonly number[],
  dtype: Dtype,
  device: Device,
  write: (out: Tensor) => void,
  category: Category = 'tensor',
): Tensor {
  const out = empty(shape, dtype, device, category);
  try {
    write(out);
  } catch (error) {
    out.dispose();
    throw error;
  }
  return out;
}

/** Makes a fresh tensor of floats a leaf that gradients flow to. */
export function trackLeaf(tensor: Tensor): void {
  tensor[internals].follow({ entry: undefined, output: 0 });
}

/** The one device all tensors are on. @throws OptionError when there are two, or a tensor was disposed. */
export function commonDevice(who: string, tensors: readonly Tensor[]): Device {
  for (const tensor of tensors) storageOf(tensor, who);
  const device = tensors[0]!.device;
  if (tensors.some((tensor) => tensor.device !== device)) {
    const where = tensors.map((tensor) => `${describeTensor(tensor)} on ${tensor.device.info.kind}`).join(', ');
    throw new OptionError(
      `${who}: all tensors must be on one device; got ${where}. Copy with tensor(await x.data(), …).`,
    );
  }
  return device;
}

/** @throws OptionError unless a value is an array of tensors that are not disposed. */
export function checkTensors(who: string, name: string, tensors: unknown): asserts tensors is readonly Tensor[] {
  if (!Array.isArray(tensors))
    throw new OptionError(`${who}: ${name} must be an array of tensors; got ${describeValue(tensors)}.`);
  for (const tensor of tensors as readonly Tensor[]) storageOf(tensor, who);
}

/** An option that is a tensor; whether it was disposed is seen where it is used. */
export const someTensor: Requirement = { must: 'a tensor', holds: (value) => value instanceof Tensor };

/** As a state is. */
export const tensorsByName: Requirement = {
  must: 'a map of tensors by name',
  holds: (value) =>
    value instanceof Map && [...value].every(([name, one]) => typeof name === 'string' && someTensor.holds(one)),
};

/** Gives a tensor to another scope, or to none. */
export function moveTo(tensor: Tensor, frame: Frame | undefined): void {
  const own = tensor[internals];
  own.frame?.delete(tensor);
  own.frame = frame;
  frame?.add(tensor);
}
