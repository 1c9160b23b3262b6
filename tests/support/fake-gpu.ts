import type { GpuDevice } from '../../src/devices/webgpu/api.js';

/** A `GPUDevice` that takes everything and does nothing, with the limits that every GPU has. */
export function fakeGpu(): GpuDevice {
  const nothing = (): void => {};
  const pass = (): object => ({
    setPipeline: nothing,
    setBindGroup: nothing,
    dispatchWorkgroups: nothing,
    end: nothing,
  });
  const made = (): object => ({ destroy: nothing });
  return {
    limits: {
      maxBufferSize: 2 ** 28,
      maxStorageBufferBindingSize: 2 ** 27,
      maxStorageBuffersPerShaderStage: 8,
      maxComputeWorkgroupStorageSize: 16384,
      maxComputeInvocationsPerWorkgroup: 256,
      maxComputeWorkgroupSizeX: 256,
      maxComputeWorkgroupsPerDimension: 65535,
    },
    features: { has: () => false },
    queue: { writeBuffer: nothing, submit: nothing, onSubmittedWorkDone: () => Promise.resolve() },
    lost: Promise.race([]),
    createBuffer: ({ size }) => ({ ...made(), size }) as never,
    createShaderModule: () => ({ getCompilationInfo: () => Promise.resolve({ messages: [] }) }),
    createBindGroupLayout: made,
    createPipelineLayout: made,
    createBindGroup: made,
    createComputePipeline: made,
    createComputePipelineAsync: () => Promise.resolve(made()),
    createCommandEncoder: () => ({ beginComputePass: pass, copyBufferToBuffer: nothing, finish: made }) as never,
    pushErrorScope: nothing,
    popErrorScope: () => Promise.resolve(null),
    destroy: nothing,
  };
}
