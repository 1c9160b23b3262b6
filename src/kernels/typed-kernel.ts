import { memoised } from '../core/memo.js';
import type { VectorBuilder } from '../codegen/vector.js';
import type { KernelArgument } from '../devices/device.js';
import type { GpuTarget, GpuText, Kernel, ParameterKind } from '../codegen/kernel.js';
import { wgslArgument } from '../codegen/gpu.js';
import { parameterList, type ParameterList } from './parameters.js';

type Names = Readonly<Record<string, ParameterKind>>;

/** A kernel and how its arguments are packed: those named in `P`, then the lifted constants of an expression. */
export interface TypedKernel<P extends Names> {
  readonly kernel: Kernel;
  readonly pack: (
    values: Parameters<ParameterList<P>['pack']>[0],
    constants?: readonly number[],
  ) => readonly KernelArgument[];
}

export type Read<P extends Names> = ReturnType<ParameterList<P>['read']>;
/** Arguments in a text for GPUs. */
export type Wgsl<P extends Names> = ParameterList<P>['wgsl'];

interface Definition<Spec, P extends Names> {
  readonly name: string;
  readonly key: (spec: Spec) => string;
  readonly parameters: P;
  /** Number of f32 parameters after those. */
  readonly constants?: (spec: Spec) => number;
  /** Writes the program; `firstConstant` is the index of the first of the constants. */
  readonly text: (k: VectorBuilder, spec: Spec, parameters: Read<P>, firstConstant: number) => void;
  readonly vectorOn?: Kernel['vectorOn'] | ((spec: Spec) => Kernel['vectorOn']);
  /** A text for GPUs; `parameters` and `constant(i)` are WGSL expressions. */
  readonly gpu?: (
    target: GpuTarget,
    spec: Spec,
    parameters: ParameterList<P>['wgsl'],
    constant: (index: number) => string,
  ) => GpuText | undefined;
}

/**
 * Kernels by what they are specialised to, made once per key: a device finds what it compiled by the kernel object, and small calls
 * do not build one anew.
 */
export function typedKernel<Spec, const P extends Names>(make: Definition<Spec, P>): (spec: Spec) => TypedKernel<P> {
  const list = parameterList(make.parameters);
  const kernelOf = memoised(
    (key: string, spec: Spec): TypedKernel<P> => ({
      kernel: {
        name: make.name,
        key,
        parameters: [...list.kinds, ...new Array<'f32'>(make.constants?.(spec) ?? 0).fill('f32')],
        cpu: (k) => make.text(k, spec, list.read(k), list.kinds.length),
        vectorOn: typeof make.vectorOn === 'function' ? make.vectorOn(spec) : make.vectorOn,
        ...(make.gpu && {
          gpu: (target) =>
            make.gpu!(target, spec, list.wgsl, (index) => wgslArgument(list.kinds.length + index, 'f32')),
        }),
      },
      pack: (values, constants = []) => [...list.pack(values), ...constants],
    }),
    { by: (key) => [key] },
  );
  return (spec) => kernelOf(make.key(spec), spec);
}
