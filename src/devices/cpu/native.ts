import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { renderC } from '../../codegen/render/c.js';
import { CapabilityError, DeviceError } from '../../core/errors.js';
import { identityOf, type Kernel } from '../../codegen/kernel.js';
import type { Backend } from './backend.js';
import { openCache } from './cache.js';
import { type Compiler, findCompiler } from './compiler.js';
import { type MemoryRuntime, NativeMemory } from './memory-native.js';
import { Objects } from './objects.js';
import type { CompiledKernel } from './pool.js';
import type { Run } from './worker.js';

/** The part of koffi, an optional dependency, that is used here. */
interface Koffi {
  load(path: string): Library;
}
interface Library {
  func(prototype: string): (...args: never[]) => unknown;
}

export interface NativeOptions {
  readonly memoryLimit?: number | undefined;
  readonly cacheFolder?: string | undefined;
}

/** Programs as C, compiled for this very processor and called through koffi. */
export class NativeBackend implements Backend {
  readonly kind = 'native';
  readonly width: number;
  readonly fusedMultiplyAdd: boolean;
  readonly reasons: readonly string[];
  readonly compiler: string;
  readonly source: NativeMemory;
  readonly workerCode: { readonly kind: 'native'; readonly koffi: string };
  readonly #koffi: Koffi;
  readonly #objects: Objects;
  /** Texts of kernels that `warm` has compiled and that are still to be loaded. */
  readonly #rendered = new Map<string, string>();

  /** @throws CapabilityError saying what is missing. */
  static async open(options: NativeOptions): Promise<NativeBackend> {
    const compiler = await findCompiler();
    if (typeof compiler === 'string') throw new CapabilityError(`createDevice: kind "native": ${compiler}`);
    const require = createRequire(import.meta.url);
    let path: string;
    let koffi: Koffi;
    try {
      path = require.resolve('koffi');
      koffi = require(path) as Koffi;
    } catch (error) {
      const message = String(error).split('\n', 1)[0];
      throw new CapabilityError(
        `createDevice: kind "native": the optional package koffi cannot be loaded (${message}); run: npm install koffi`,
        { cause: error },
      );
    }
    try {
      return new NativeBackend(compiler, path, koffi, options);
    } catch (error) {
      // the compiler answers but cannot build even the runtime: no headers, no linker, no room on the disk
      throw new CapabilityError(`createDevice: kind "native": ${(error as Error).message}`, { cause: error });
    }
  }

  private constructor(compiler: Compiler, path: string, koffi: Koffi, options: NativeOptions) {
    const cache = openCache(options.cacheFolder);
    this.#koffi = koffi;
    this.#objects = new Objects(compiler, cache.folder);
    this.width = compiler.width;
    this.fusedMultiplyAdd = compiler.fusedMultiplyAdd;
    this.compiler = `${compiler.command} (${compiler.version})`;
    this.workerCode = { kind: 'native', koffi: path };
    this.source = new NativeMemory(this.#memoryRuntime(), options.memoryLimit);
    this.reasons = [`Native code by ${this.compiler}, ${32 * this.width}-bit vectors.`, ...cache.reasons];
  }

  load(kernel: Kernel): CompiledKernel {
    const source = this.#render(kernel);
    this.#rendered.delete(identityOf(kernel));
    return this.compile(kernel.name, source);
  }

  #render(kernel: Kernel): string {
    return this.#rendered.get(identityOf(kernel)) ?? renderC(kernel, { width: this.width });
  }

  /** A program from C text that defines `subquad_run`. */
  compile(name: string, source: string): CompiledKernel {
    const prototype = 'void subquad_run(int64_t params, int64_t scratch, int32_t begin, int32_t end)';
    const [run, path] = this.#open(name, source, (library) => library.func(prototype) as unknown as Run);
    return { name, code: new TextEncoder().encode(path), run };
  }

  async warm(kernels: readonly Kernel[]): Promise<void> {
    const queue = kernels.map((kernel) => ({ kernel, source: this.#render(kernel) }));
    for (const { kernel, source } of queue) this.#rendered.set(identityOf(kernel), source);
    // the longest first, so that no compiler is left alone with it at the end
    queue.sort((a, b) => a.source.length - b.source.length);
    const work = async (): Promise<void> => {
      for (let next = queue.pop(); next; next = queue.pop()) await this.#objects.compile(next.kernel.name, next.source);
    };
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), kernels.length) }, work));
  }

  dispose(): void {}

  /** Loads the object compiled from `source` and takes from it what `use` asks for. */
  #open<T>(name: string, source: string, use: (library: Library) => T): [T, path: string] {
    const path = this.#objects.get(name, source);
    try {
      return [use(this.#koffi.load(path)), path];
    } catch {
      // made on a machine with other libraries, say: the folder is only a cache, so once more from the source
      this.#objects.discard(path);
    }
    const fresh = this.#objects.get(name, source);
    try {
      return [use(this.#koffi.load(fresh)), fresh];
    } catch (error) {
      throw new DeviceError(`${name}: the compiled object ${fresh} cannot be loaded (${String(error)}).`, {
        cause: error,
      });
    }
  }

  #memoryRuntime(): MemoryRuntime {
    const [runtime] = this.#open('runtime', RUNTIME, (library) => ({
      address: library.func('uint64_t subquad_address(void *array)'),
      advise: library.func('void subquad_advise(int64_t address, int64_t length)'),
      release: library.func('void subquad_release(int64_t address, int64_t length)'),
    }));
    return runtime as unknown as MemoryRuntime;
  }
}

/** What the allocator needs of the system and JavaScript does not offer. Hints only: failing is harmless. */
const RUNTIME = `#define _GNU_SOURCE 1
#include <stdint.h>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#include <unistd.h>
static void hint(int64_t address, int64_t length, int advice) {
  int64_t page = (int64_t)sysconf(_SC_PAGESIZE);
  int64_t begin = (address + page - 1) / page * page;
  int64_t end = (address + length) / page * page;
  if (end > begin) madvise((void *)(intptr_t)begin, (size_t)(end - begin), advice);
}
#else
#define hint(address, length, advice)
#endif

uint64_t subquad_address(void *array) { return (uint64_t)(uintptr_t)array; }

void subquad_advise(int64_t address, int64_t length) {
#if defined(MADV_HUGEPAGE)
  hint(address, length, MADV_HUGEPAGE);
#else
  (void)address, (void)length;
#endif
}

void subquad_release(int64_t address, int64_t length) {
#if defined(__linux__)
  hint(address, length, MADV_DONTNEED);
#elif defined(MADV_FREE)
  hint(address, length, MADV_FREE);
#else
  (void)address, (void)length;
#endif
}
`;
