import { DeviceError } from '../core/errors.js';
import type { ParameterKind } from './program.js';

/** What a GPU offers to the texts of kernels. The least, which every GPU has: 16 KiB, 256 invocations, neither subgroups nor f16. */
export interface GpuTarget {
  /** Bytes of workgroup memory that one workgroup may declare. */
  readonly workgroupBytes: number;
  /** Invocations of one workgroup at most; never above 256. */
  readonly invocations: number;
  /** Lanes of a vector in texts that are rendered from `cpu` with a workgroup for a vector; `info.width` of the device. */
  readonly width: number;
  /** Invocations that run in step, where WGSL's `subgroups` are there: a text must be right for every size between, 4 to 128. */
  readonly subgroups?: { readonly min: number; readonly max: number };
  /** Whether WGSL's `f16` is there. */
  readonly f16: boolean;
}

/**
 * A text for GPUs. The device writes what stands around it (`render/wgsl-shell.ts`), so the text finds
 *
 * - `arena`: the memory of the device, `array<element>`, bound `read_write` whole. A pointer argument is a u32 of *bytes* from its start;
 *   buffers start at multiples of 64. With u32 elements its word is `arena[pointer / 4u]`, with `vec4<f32>` elements
 *   `arena[pointer / 16u]`, which needs pointers and strides that are multiples of 16;
 * - arguments: `wgslArgument(i, kind)`, or `parameterList(…).wgsl.name`, is the WGSL expression of an argument: u32, i32 or f32. They lie
 *   in a uniform buffer, so what is computed from them is uniform;
 * - `scratch`: a u32, the address of `scratchBytes` of the call that no other workgroup (or invocation, if those take tasks) has meanwhile;
 * - `infinity()` and `notANumber()`: WGSL has no literals of them, and may assume that none occur: test bits, never `x != x`.
 *
 * and gives `fn run(task: u32, lane: u32)`. A call of `n` tasks calls it for tasks `0 … n − 1`, each by one workgroup, whose invocations
 * all enter it (`task` is uniform: barriers are allowed), or with `tasksOf: 'invocation'` each by one invocation. There are as many
 * workgroups as it takes, or fewer, which then take several tasks each, with a barrier between. No order between tasks is promised, and
 * no task may read what another one writes.
 */
export interface GpuText {
  readonly wgsl: string;
  /** Invocations of a workgroup, in one dimension. */
  readonly workgroupSize: number;
  /** Default `u32`. */
  readonly element?: 'u32' | 'f32' | 'vec4<f32>' | 'atomic<u32>';
  /** Who takes a task; default the workgroup. */
  readonly tasksOf?: 'workgroup' | 'invocation';
  /**
   * Tasks of the dispatch, where they are not those of the call: a launcher counts tasks for the text of the CPU. `args` are the numbers of
   * the call by position, 0 for pointers.
   */
  readonly tasks?: (tasks: number, args: readonly number[]) => number;
  /** WGSL extensions to enable; with `subgroups`, `subgroupLane` and `subgroupWidth` are there beside `lane`. */
  readonly enable?: readonly ('f16' | 'subgroups')[];
}

/** Words before the arguments in the uniform buffer: tasks, address of the scratch, its bytes for one taker, takers. */
export const HEADER_WORDS = 4;

/** The WGSL expression of argument `index`: a u32 byte address for pointers. */
export function wgslArgument(index: number, kind: ParameterKind): string {
  const word = HEADER_WORDS + index;
  const at = `call[${word >> 2}].${'xyzw'[word & 3]}`;
  return kind === 'pointer' ? at : kind === 'i32' ? `bitcast<i32>(${at})` : `bitcast<f32>(${at})`;
}

const loads: (() => Promise<void>)[] = [];
let wanted = false;

/**
 * A module of texts for GPUs, which is loaded when the first device on a GPU opens: who runs on the processor does not load it. What is
 * returned gives the module.
 */
export function gpuModule<T>(load: () => Promise<T>): () => T {
  let loaded: T | undefined;
  const own = async (): Promise<void> => void (loaded ??= await load());
  loads.push(own);
  // of a part of the library that is imported later still; who waits for it is told what fails
  if (wanted) own().catch(() => {});
  return () => {
    if (loaded === undefined)
      throw new DeviceError(
        'webgpu: a kernel was imported after the device was made; await device.synchronise() first.',
      );
    return loaded;
  };
}

/** Loads all of them that are not. */
export async function loadGpuModules(): Promise<void> {
  wanted = true;
  await Promise.all(loads.map((load) => load()));
}
