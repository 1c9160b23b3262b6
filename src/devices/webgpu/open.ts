import { CapabilityError } from '../../core/errors.js';
import { isNode } from '../../core/node.js';
import { type GpuTarget, loadGpuModules } from '../../codegen/gpu.js';
import type { Gpu, GpuAdapter, GpuAdapterInfo, GpuDevice } from './api.js';
import { WebGpuDevice } from './device.js';

export interface WebGpuOptions {
  /** A `GPUDevice`, used with the limits and features it has, or a `GPU` to ask for one. */
  readonly gpu?: GpuDevice | Gpu | undefined;
  readonly memoryLimit?: number | undefined;
  /** Of processors. */
  readonly threads?: number | undefined;
  readonly poison?: boolean | undefined;
  /** Lanes of a vector, in tests; default by the kind of adapter. */
  readonly width?: number | undefined;
}

const PACKAGE = 'webgpu';
const WHO = 'createDevice: kind "webgpu"';
const UNIT = 256;
/** Bytes of workgroup memory beyond which no text has a use for more. */
const MOST_WORKGROUP_BYTES = 32768;
/** Invocations of a workgroup; more are there on few GPUs and gain nothing. */
const MOST_INVOCATIONS = 256;
/** Lanes on a GPU, whose subgroups have 8 to 64; and on a processor that plays one, where every barrier costs a thread switch. */
const LANES = { hardware: 16, software: 1 } as const;
/** Tasks with workspaces in flight. */
const TAKERS = { hardware: 256, software: 64 } as const;

/**
 * A device on a GPU.
 *
 * @throws CapabilityError where there is no WebGPU or no adapter, with the remedy.
 */
export async function openWebGpu(options: WebGpuOptions): Promise<WebGpuDevice> {
  const { gpu: given, memoryLimit, poison } = options;
  const owned = given === undefined || !('queue' in given);
  const found = owned ? await ownDevice(given) : { gpu: given, info: given.adapterInfo, keep: given };
  await loadGpuModules();
  const software = found.info?.isFallbackAdapter === true;
  const target = targetOf(found.gpu, found.info, options.width ?? (software ? LANES.software : LANES.hardware));
  return new WebGpuDevice({
    gpu: found.gpu,
    target,
    takers: software ? TAKERS.software : TAKERS.hardware,
    owned,
    keep: found.keep,
    reasons: [
      owned ? 'WebGPU, as asked.' : 'WebGPU, on the GPUDevice that was given.',
      ...reasonsOf(target, found.gpu, found.info),
      ...(options.threads === undefined ? [] : [`threads: ${options.threads} asked, for which a GPU has no use.`]),
    ],
    ...(memoryLimit !== undefined && { memoryLimit }),
    ...(poison !== undefined && { poison }),
  });
}

interface Found {
  readonly gpu: GpuDevice;
  readonly info: GpuAdapterInfo | undefined;
  readonly keep: unknown;
}

async function ownDevice(given: Gpu | undefined): Promise<Found> {
  const gpu = given ?? (await hostGpu());
  const adapter = await adapterOf(gpu);
  return { gpu: await adapter.requestDevice(descriptorOf(adapter) as never), info: adapter.info, keep: gpu };
}

async function adapterOf(gpu: Gpu): Promise<GpuAdapter> {
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' } as never);
  if (!adapter) {
    throw new CapabilityError(
      `${WHO}: no adapter: the machine has no GPU that WebGPU may use, or its driver is missing` +
        `${isNode() ? ' (on Linux, Vulkan: install libvulkan1 and a driver, or name one in VK_ICD_FILENAMES)' : ' (see chrome://gpu)'}; use kind "auto".`,
    );
  }
  return adapter;
}

/**
 * Dawn in Node ends the process if this object is collected while one of its threads runs, which goes on after a device is destroyed, and the
 * engine collects what only a module or a device holds after its last use: so there is one, held for good.
 */
const KEPT = Symbol.for('subquad: the GPU of this process');

async function hostGpu(): Promise<Gpu> {
  const page = (globalThis as { readonly navigator?: { readonly gpu?: Gpu } }).navigator?.gpu;
  if (page) return page;
  if (!isNode()) {
    throw new CapabilityError(
      `${WHO}: this browser has no WebGPU here; it takes a recent one and a secure page (https or localhost).`,
    );
  }
  const held = globalThis as { [KEPT]?: Gpu };
  try {
    // no literal: bundlers, and the compiler, would demand the package of those who never call this
    const dawn = (await import(/* @vite-ignore */ /* webpackIgnore: true */ PACKAGE)) as {
      create(flags: readonly string[]): Gpu;
    };
    return (held[KEPT] ??= dawn.create([]));
  } catch (error) {
    throw new CapabilityError(
      `${WHO}: Node has no WebGPU of its own, and takes the optional package ${PACKAGE} (${String(error).split('\n', 1)[0]}); run: npm install ${PACKAGE}`,
      { cause: error },
    );
  }
}

/** What is asked of an adapter: what it has, up to what is of use. */
function descriptorOf({ limits, features }: GpuAdapter): object {
  const bytes =
    Math.floor(Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize, 2 ** 31 - UNIT) / UNIT) * UNIT;
  return {
    requiredLimits: {
      maxStorageBufferBindingSize: bytes,
      maxBufferSize: bytes,
      maxComputeWorkgroupStorageSize: Math.min(limits.maxComputeWorkgroupStorageSize, MOST_WORKGROUP_BYTES),
    },
    requiredFeatures: ['subgroups', 'shader-f16', 'timestamp-query'].filter((name) => features.has(name as never)),
  };
}

function targetOf({ limits, features }: GpuDevice, info: GpuAdapterInfo | undefined, width: number): GpuTarget {
  const subgroups = features.has('subgroups' as never)
    ? { subgroups: { min: info?.subgroupMinSize ?? 4, max: info?.subgroupMaxSize ?? 128 } }
    : {};
  return {
    workgroupBytes: Math.min(limits.maxComputeWorkgroupStorageSize, MOST_WORKGROUP_BYTES),
    invocations: Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX, MOST_INVOCATIONS),
    width,
    ...subgroups,
    f16: features.has('shader-f16' as never),
  };
}

/** The adapter, and the tier with what kept it from the next one. */
function reasonsOf(target: GpuTarget, { limits }: GpuDevice, info: GpuAdapterInfo | undefined): string[] {
  return [`Adapter: ${nameOf(info)}.`, tierOf(target, limits.maxStorageBufferBindingSize)];
}

/** The adapter that `createDevice` would take, or why there is none. */
export async function adapterOrWhy(): Promise<string> {
  try {
    return nameOf((await adapterOf(await hostGpu())).info);
  } catch (error) {
    if (error instanceof CapabilityError) return `none: ${error.message.replace(`${WHO}: `, '')}`;
    throw error;
  }
}

function nameOf(info: GpuAdapterInfo | undefined): string {
  const names = info ? [info.vendor, info.architecture, info.description || info.device] : [];
  const named = names.filter((part, i) => part !== '' && names.indexOf(part) === i).join(', ');
  const software = info?.isFallbackAdapter === true ? ', a software driver: slow, for tests' : '';
  return `${named || 'unnamed'}${software}`;
}

const ofDefaultBinding = 128 * 2 ** 20;

function tierOf({ workgroupBytes, subgroups, f16 }: GpuTarget, binding: number): string {
  const missing = [
    ...(binding > ofDefaultBinding ? [] : [`bindings end at ${binding / 2 ** 20} MiB`]),
    ...(workgroupBytes >= MOST_WORKGROUP_BYTES ? [] : [`workgroup memory at ${workgroupBytes / 1024} KiB`]),
  ];
  if (missing.length > 0) return `Tier T0, not T1: ${missing.join(' and ')}.`;
  if (!subgroups) return 'Tier T1, not T2: no subgroups.';
  const sizes = `subgroups of ${subgroups.min === subgroups.max ? subgroups.min : `${subgroups.min} to ${subgroups.max}`}`;
  return f16 ? `Tier T3: ${sizes}, f16.` : `Tier T2 (${sizes}), not T3: no shader-f16.`;
}
