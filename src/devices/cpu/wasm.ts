import { renderWasm } from '../../codegen/render/wasm.js';
import { CapabilityError, DeviceError } from '../../core/errors.js';
import type { Kernel } from '../../codegen/kernel.js';
import { nodeModule } from '../../core/node.js';
import type { Backend } from './backend.js';
import { WasmMemory } from './memory-wasm.js';
import type { CompiledKernel } from './pool.js';
import type { Run } from './worker.js';

/** Programs as WebAssembly modules with 128-bit SIMD, over one shared memory. */
export class WasmBackend implements Backend {
  readonly kind = 'wasm';
  readonly width = 4;
  readonly fusedMultiplyAdd: boolean;
  readonly reasons: readonly string[];
  readonly source: WasmMemory;
  readonly workerCode: { readonly kind: 'wasm'; readonly memory: unknown };
  readonly #relaxed: boolean;

  constructor(memoryLimit: number | undefined) {
    if (!supports(SIMD_PROBE)) {
      throw new CapabilityError(
        'createDevice: this engine has no WebAssembly SIMD; use a browser or Node of 2021 or later.',
      );
    }
    this.#relaxed = enableRelaxedSimd();
    this.fusedMultiplyAdd = answerOf(this.#relaxed ? RELAXED_PROBE : SIMD_PROBE) !== 0 && this.#relaxed;
    this.reasons = [
      this.fusedMultiplyAdd
        ? 'WebAssembly with relaxed SIMD: multiply-adds are fused.'
        : this.#relaxed
          ? 'WebAssembly with relaxed SIMD, but this processor rounds a multiply-add twice.'
          : 'WebAssembly without relaxed SIMD, which this engine lacks: a multiply-add takes two instructions.',
    ];
    this.source = new WasmMemory(memoryLimit);
    this.workerCode = { kind: 'wasm', memory: this.source.memory };
  }

  load(kernel: Kernel): CompiledKernel {
    return this.instantiate(kernel.name, renderWasm(kernel, { relaxed: this.#relaxed }));
  }

  /** A program from the bytes of a module. */
  instantiate(name: string, code: Uint8Array): CompiledKernel {
    try {
      const imports = { env: { memory: this.source.memory } };
      const instance = new WebAssembly.Instance(new WebAssembly.Module(code), imports);
      return { name, code, run: instance.exports['run'] as unknown as Run };
    } catch (error) {
      throw new DeviceError(`${name}: the engine refused the generated WebAssembly (${String(error)}).`, {
        cause: error,
      });
    }
  }

  warm(): Promise<void> {
    // nothing to prepare: an engine compiles a module of this size in about the time it takes to ask for it
    return Promise.resolve();
  }

  dispose(): void {}
}

/**
 * A module with one function of type () → f32 whose body is `instructions`.
 * Sections: type, function, export "f", code; all lengths are below 128 and so fit one byte.
 */
function probe(...instructions: number[]): Uint8Array {
  const body = [0, ...instructions, 0x0b];
  const head = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7d, 3, 2, 1, 0, 7, 5, 1, 1, 0x66, 0, 0];
  return Uint8Array.from([...head, 10, body.length + 2, 1, body.length, ...body]);
}

/** f32.const, then f32x4.splat. */
function splat(value: number): number[] {
  return [0x43, ...new Uint8Array(Float32Array.of(value).buffer), 0xfd, 0x13];
}

const EXTRACT_LANE_0 = [0xfd, 0x1f, 0];
const RELAXED_MADD = [0xfd, 0x85, 0x02];
const SIMD_PROBE = probe(...splat(1), ...EXTRACT_LANE_0);
// (1 + 2⁻¹²)·(1 − 2⁻¹²) − 1 is −2⁻²⁴ when rounded once and 0 when rounded twice
const RELAXED_PROBE = probe(
  ...splat(1 + 2 ** -12),
  ...splat(1 - 2 ** -12),
  ...splat(-1),
  ...RELAXED_MADD,
  ...EXTRACT_LANE_0,
);

function supports(module: Uint8Array): boolean {
  return typeof WebAssembly === 'object' && WebAssembly.validate(module);
}

/** Whether modules may use relaxed SIMD. Node 20 has it behind a flag that must be set before the first module. */
function enableRelaxedSimd(): boolean {
  if (supports(RELAXED_PROBE)) return true;
  try {
    nodeModule('node:v8')?.setFlagsFromString('--experimental-wasm-relaxed-simd');
  } catch {
    // an engine that does not know the flag is an engine without it
  }
  return supports(RELAXED_PROBE);
}

/** @throws CapabilityError where a page may validate modules, but not compile them. */
function answerOf(module: Uint8Array): number {
  try {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(module));
    return (instance.exports['f'] as () => number)();
  } catch (error) {
    const remedy = "add 'wasm-unsafe-eval' to script-src of the page's content security policy";
    throw new CapabilityError(`createDevice: this page may not compile WebAssembly (${String(error)}); ${remedy}.`, {
      cause: error,
    });
  }
}
