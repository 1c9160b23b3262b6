import { describe } from 'vitest';
import { renderC } from '../../src/codegen/render/c.js';
import { renderWasm } from '../../src/codegen/render/wasm.js';
import { CapabilityError } from '../../src/core/errors.js';
import type { Backend } from '../../src/devices/cpu/backend.js';
import { HostMemory } from '../../src/devices/memory/memory.js';
import { NativeBackend } from '../../src/devices/cpu/native.js';
import type { CompiledKernel } from '../../src/devices/cpu/pool.js';
import { WasmBackend } from '../../src/devices/cpu/wasm.js';
import { Ledger } from '../../src/devices/ledger.js';
import type { Kernel } from '../../src/codegen/kernel.js';

type Bytes = Float32Array | Int32Array | Uint32Array | Uint16Array | Uint8Array;
/** A number, an array that is copied in and back, or a list of the addresses of other arguments. */
export type Argument = number | Bytes | { readonly addressesOf: readonly number[] };

export interface RunOptions {
  readonly begin?: number;
  /** Default 1. */
  readonly end?: number;
  readonly scratchBytes?: number;
}

/** A machine that kernels are rendered for: below the devices, so that every vector width can be tried. */
export interface Target {
  readonly name: string;
  readonly width: number;
  /** Whether a multiply-add is rounded once. */
  readonly fuses: { readonly vf: boolean; readonly f32: boolean };
  /** Runs one range of tasks on this thread; the arrays then hold what the kernel wrote. @throws if it wrote beyond them. */
  run(kernel: Kernel, args: readonly Argument[], options?: RunOptions): void;
}

const GUARD = 64;
const POISON = 0xa5;

class Machine implements Target {
  readonly #memory: HostMemory;
  readonly #programs = new Map<Kernel, CompiledKernel>();

  constructor(
    readonly name: string,
    readonly width: number,
    readonly fuses: Target['fuses'],
    backend: Backend,
    readonly load: (kernel: Kernel) => CompiledKernel,
  ) {
    this.#memory = new HostMemory(backend.source, new Ledger(), false);
  }

  run(kernel: Kernel, args: readonly Argument[], options: RunOptions = {}): void {
    const program = this.#programs.get(kernel) ?? this.load(kernel);
    this.#programs.set(kernel, program);
    const arrays = args.map((arg) => (typeof arg === 'object' && 'byteLength' in arg ? arg : undefined));
    const buffers = arrays.map((array) => this.#allocate(array?.byteLength ?? 0));
    const [slots, scratch] = [this.#allocate(8 * args.length), this.#allocate(options.scratchBytes ?? 0)];
    const lists = args.map((arg) => {
      if (typeof arg !== 'object' || 'byteLength' in arg) return undefined;
      const list = this.#allocate(8 * arg.addressesOf.length);
      const addresses = arg.addressesOf.map((i) => BigInt(buffers[i]!.address));
      list.bytes.set(new Uint8Array(BigUint64Array.from(addresses).buffer));
      return list;
    });
    const view = new DataView(slots.bytes.buffer, slots.bytes.byteOffset, slots.bytes.byteLength);
    args.forEach((arg, i) => {
      const array = arrays[i];
      if (array) buffers[i]!.bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
      if (typeof arg !== 'number') view.setBigUint64(8 * i, BigInt((lists[i] ?? buffers[i]!).address), true);
      else if (kernel.parameters[i] === 'f32') view.setFloat32(8 * i, arg, true);
      else view.setBigInt64(8 * i, BigInt(arg), true);
    });
    program.run(slots.address, scratch.address, options.begin ?? 0, options.end ?? 1);
    arrays.forEach((array, i) => {
      if (array) new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(buffers[i]!.bytes);
    });
    const spoilt = [...buffers, slots, scratch].findIndex((buffer) => !buffer.release());
    if (spoilt >= 0)
      throw new Error(`${kernel.name} on ${this.name}: wrote outside argument ${spoilt} of ${args.length}`);
    lists.forEach((list) => list?.release());
  }

  /** Bytes between two guards; `release` says whether the guards are as they were. */
  #allocate(length: number): { readonly address: number; readonly bytes: Uint8Array; release: () => boolean } {
    const buffer = this.#memory.allocate(length + 2 * GUARD, 'workspace');
    const all = this.#memory.bytes(buffer, 0, buffer.byteLength).fill(POISON);
    const intact = (): boolean =>
      all.subarray(0, GUARD).every((byte) => byte === POISON) &&
      all.subarray(GUARD + length).every((byte) => byte === POISON);
    return {
      address: buffer.address + GUARD,
      bytes: all.subarray(GUARD, GUARD + length),
      release: () => {
        const good = intact();
        this.#memory.free(buffer);
        return good;
      },
    };
  }
}

function wasmTargets(): Target[] {
  const backend = new WasmBackend(undefined);
  const target = (name: string, relaxed: boolean): Target =>
    new Machine(name, 4, { vf: relaxed && backend.fusedMultiplyAdd, f32: false }, backend, (kernel) =>
      backend.instantiate(kernel.name, renderWasm(kernel, { relaxed })),
    );
  const plain = target('wasm', false);
  return backend.reasons[0]!.includes('without relaxed SIMD') ? [plain] : [plain, target('wasm relaxed', true)];
}

async function nativeTargets(): Promise<Target[]> {
  let backend: NativeBackend;
  try {
    backend = await NativeBackend.open({});
  } catch (error) {
    // only a missing compiler or koffi excuses a target; a broken one must fail
    if (error instanceof CapabilityError) return [];
    throw error;
  }
  const fuses = { vf: backend.fusedMultiplyAdd, f32: backend.fusedMultiplyAdd };
  return [4, 8, 16]
    .filter((width) => width <= backend.width)
    .map(
      (width) =>
        new Machine(`native × ${width}`, width, fuses, backend, (kernel) =>
          backend.compile(kernel.name, renderC(kernel, { width })),
        ),
    );
}

export const targets: readonly Target[] = [...wasmTargets(), ...(await nativeTargets())];

/** Declares the tests once per target; on a machine without a compiler the native block is reported as skipped. */
export function onEveryTarget(declare: (target: Target) => void, only: (target: Target) => boolean = () => true): void {
  const blocks = targets
    .filter(only)
    .map((target) => ({ block: describe as typeof describe.skip, name: target.name, target }));
  const native = targets.some(({ name }) => name.startsWith('native'));
  if (!native) blocks.push({ block: describe.skip, name: 'native: no compiler', target: targets[0]! });
  for (const { block, name, target } of blocks) {
    block(name, () => {
      declare(target);
    });
  }
}
