import { memoised } from '../../core/memo.js';
import { DeviceError } from '../../core/errors.js';
import type { GpuTarget, GpuText } from '../../codegen/gpu.js';
import { identityOf, type Kernel } from '../../codegen/kernel.js';
import { renderWgsl } from '../../codegen/render/wgsl.js';
import { shellOf } from '../../codegen/render/wgsl-shell.js';
import type { GpuDevice, GpuShaderModule, Opaque } from './api.js';
import type { Commands } from './commands.js';

/** A kernel's text on one kind of GPU. */
export interface GpuProgram {
  readonly text: GpuText;
  readonly code: string;
  /** Whether each taker of tasks needs a workspace: texts of their own often need none where that of the CPU does. */
  readonly scratch: boolean;
}

const targetKey = ({ workgroupBytes, invocations, width, subgroups, f16 }: GpuTarget): string =>
  JSON.stringify([workgroupBytes, invocations, width, subgroups?.min, subgroups?.max, f16]);

const programOf = memoised(
  (kernel: Kernel, target: GpuTarget): GpuProgram => {
    const text = kernel.gpu?.(target) ?? renderWgsl(kernel, target);
    return { text, code: shellOf(text, kernel.parameters.length), scratch: /\bscratch\b/.test(text.wgsl) };
  },
  { by: (kernel, target) => [identityOf(kernel), targetKey(target)] },
);

/** The text that a GPU of this kind is given for a kernel: its own, or what `cpu` is rendered to. The same for all devices of a process. */
export const gpuProgram = (kernel: Kernel, target: GpuTarget): GpuProgram => programOf(kernel, target);

export interface Compiled extends GpuProgram {
  readonly pipeline: Opaque;
}

/** What was compiled, by the identity of kernels. */
export class Pipelines {
  readonly #gpu: GpuDevice;
  readonly #commands: Commands;
  readonly #target: GpuTarget;
  readonly #compiled = new Map<string, Compiled>();
  /** Kernels are found by identity, other objects for the same program by its name. */
  readonly #byObject = new WeakMap<Kernel, Compiled>();

  constructor(gpu: GpuDevice, commands: Commands, target: GpuTarget) {
    this.#gpu = gpu;
    this.#commands = commands;
    this.#target = target;
  }

  /** The compiled kernel; what a compiler says against it comes at the next await. */
  of(kernel: Kernel): Compiled {
    let compiled = this.#byObject.get(kernel);
    if (compiled) return compiled;
    const identity = identityOf(kernel);
    compiled = this.#compiled.get(identity) ?? this.#compile(kernel);
    this.#compiled.set(identity, compiled);
    this.#byObject.set(kernel, compiled);
    return compiled;
  }

  /** Compiles those that are not, all at once. @throws DeviceError with the compiler's message. */
  async warm(kernels: readonly Kernel[]): Promise<void> {
    const missing = new Map(kernels.map((kernel) => [identityOf(kernel), kernel]));
    for (const identity of this.#compiled.keys()) missing.delete(identity);
    await Promise.all(
      [...missing].map(async ([identity, kernel]) => {
        const program = gpuProgram(kernel, this.#target);
        const module = this.#module(kernel, program);
        try {
          const pipeline = await this.#gpu.createComputePipelineAsync(this.#descriptor(module));
          this.#compiled.set(identity, { ...program, pipeline });
        } catch (error) {
          throw await refusal(kernel, module, program, String(error));
        }
      }),
    );
    await this.#commands.settle();
  }

  #compile(kernel: Kernel): Compiled {
    const program = gpuProgram(kernel, this.#target);
    let module: GpuShaderModule | undefined;
    const pipeline = this.#commands.guard(
      () => {
        module = this.#gpu.createShaderModule({ code: program.code, label: kernel.name });
        return this.#gpu.createComputePipeline(this.#descriptor(module));
      },
      (message) => refusal(kernel, module!, program, message),
    );
    return { ...program, pipeline };
  }

  #module(kernel: Kernel, program: GpuProgram): GpuShaderModule {
    return this.#commands.guard(
      () => this.#gpu.createShaderModule({ code: program.code, label: kernel.name }),
      (message) => new DeviceError(`${kernel.name}: the GPU refused its text: ${message}`),
    );
  }

  #descriptor(module: GpuShaderModule): never {
    return { layout: this.#commands.layout, compute: { module, entryPoint: 'main' } } as never;
  }
}

/** What the compiler says, with the line it is about. */
async function refusal(
  kernel: Kernel,
  module: GpuShaderModule,
  { code }: GpuProgram,
  message: string,
): Promise<DeviceError> {
  const { messages } = await module.getCompilationInfo();
  const lines = code.split('\n');
  const said = messages
    .filter(({ type }) => type === 'error')
    .map((one) => `line ${one.lineNum}: ${one.message}\n    ${lines[one.lineNum - 1]?.trim() ?? ''}`);
  return new DeviceError(`${kernel.name}: the GPU refused its text: ${said.length > 0 ? said.join('\n') : message}`);
}
