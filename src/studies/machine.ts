import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import type { Device, DeviceInfo } from '../devices/device.js';

/** Where numbers were measured. */
export interface Machine {
  readonly cpu: string;
  /** Cores this process may use. */
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly node: string;
  readonly device: DeviceInfo;
}

export function machine(device: Device): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${type()} ${release()}, ${process.arch}`,
    node: process.version,
    device: device.info,
  };
}
