import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CapabilityError } from '../../src/core/errors.js';
import type { Gpu, GpuAdapter, GpuDevice } from '../../src/devices/webgpu/api.js';
import { openWebGpu, type WebGpuOptions } from '../../src/devices/webgpu/open.js';
import type { WebGpuDevice } from '../../src/devices/webgpu/device.js';

/** Folders where browsers and distributions put the description of SwiftShader's or Mesa's Vulkan driver for processors. */
const folders = [
  '/usr/lib/chromium',
  '/usr/lib/chromium-browser',
  '/opt/google/chrome',
  '/usr/share/vulkan/icd.d',
  '/etc/vulkan/icd.d',
];

/** The description of a software driver for Vulkan, or undefined. */
function softwareDriver(): string | undefined {
  for (const folder of folders.filter((path) => existsSync(path))) {
    const name = readdirSync(folder).find((file) => /^(vk_swiftshader_icd|lvp_icd.*)\.json$/.test(file));
    if (name !== undefined) return join(folder, name);
  }
  return undefined;
}

// the loader reads the variable when the first adapter is asked for; what the user set stays
process.env['VK_ICD_FILENAMES'] ??= process.env['VK_DRIVER_FILES'] ?? softwareDriver() ?? '';
if (process.env['VK_ICD_FILENAMES'] === '') delete process.env['VK_ICD_FILENAMES'];

/** `SUBQUAD_LANES` is the width of a vector there; default that of the adapter's kind. */
const lanes = process.env['SUBQUAD_LANES'];

/** A poisoned device on WebGPU in Node, on the software driver unless VK_ICD_FILENAMES names another; or why there is none. */
export async function openWebGpuOrWhy(options: WebGpuOptions = {}): Promise<WebGpuDevice | string> {
  try {
    return await openWebGpu({ poison: true, ...(lanes !== undefined && { width: Number(lanes) }), ...options });
  } catch (error) {
    // only what the machine lacks excuses a device; a broken one must fail
    if (error instanceof CapabilityError) return error.message;
    throw error;
  }
}

const probe = await openWebGpuOrWhy();
/** Why tests on WebGPU are skipped here; undefined where they run. */
export const noWebGpu: string | undefined = typeof probe === 'string' ? probe : undefined;
if (typeof probe !== 'string') await probe.dispose();

/** The same where `noWebGpu` is undefined. */
export async function webGpuDevice(options: WebGpuOptions = {}): Promise<WebGpuDevice> {
  const device = await openWebGpuOrWhy(options);
  if (typeof device === 'string') throw new CapabilityError(device);
  return device;
}

/** A `GPUDevice` of its own with the limits and features that are asked for; without any it has those of every GPU, tier T0. */
export async function rawGpu(descriptor: object = {}): Promise<GpuDevice> {
  // no literal, as in the library: the package is optional
  const name = 'webgpu';
  const { create } = (await import(/* @vite-ignore */ name)) as { create(flags: readonly string[]): Gpu };
  // Dawn frees itself under a device whose `create` nobody holds
  const kept = globalThis as { gpuOfTests?: Gpu };
  const adapter = await (kept.gpuOfTests ??= create([])).requestAdapter();
  return adapter!.requestDevice(descriptor as never);
}

/** A device with no more than every GPU has: 16 KiB of workgroup memory, bindings of 128 MiB, no features. */
export async function coreWebGpu(): Promise<WebGpuDevice> {
  return webGpuDevice({ gpu: await rawGpu() });
}

/** Devices that all tests of a process share, by their options: what they compiled takes longer than what they run. */
const shared = new Map<string, WebGpuDevice>();

export async function sharedWebGpu(options: WebGpuOptions = {}): Promise<WebGpuDevice> {
  const key = JSON.stringify(options);
  const device = shared.get(key);
  try {
    await device?.synchronise();
  } catch {
    // what an earlier test broke is not this one's fault
    shared.delete(key);
  }
  const whole = shared.get(key) ?? (await webGpuDevice(options));
  shared.set(key, whole);
  return whole;
}

/** A `GPU` that compiles everything and runs nothing; `core` leaves out what not every GPU has. */
export async function nullGpu(core: boolean): Promise<Gpu> {
  const name = 'webgpu';
  const { create } = (await import(/* @vite-ignore */ name)) as { create(flags: readonly string[]): Gpu };
  const kept = globalThis as { nullGpuOfTests?: Gpu };
  const gpu = (kept.nullGpuOfTests ??= create(['backend=null']));
  if (!core) return gpu;
  return {
    requestAdapter: async () => {
      const { limits, info, ...adapter } = await asPlain(gpu);
      return { limits, info, features: new Set<never>(), requestDevice: () => adapter.requestDevice({} as never) };
    },
  };
}

async function asPlain(gpu: Gpu): Promise<GpuAdapter> {
  const adapter = (await gpu.requestAdapter())!;
  const requestDevice: GpuAdapter['requestDevice'] = (descriptor) => adapter.requestDevice(descriptor);
  return { limits: adapter.limits, info: adapter.info, features: adapter.features, requestDevice };
}
