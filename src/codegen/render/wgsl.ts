import type { GpuTarget, GpuText } from '../gpu.js';
import type { Kernel } from '../kernel.js';
import { CapabilityError } from '../../core/errors.js';

export function renderWgsl(kernel: Kernel, _target: GpuTarget): GpuText {
  throw new CapabilityError(`${kernel.name}: its text is not rendered to WGSL; use a CPU device.`);
}
