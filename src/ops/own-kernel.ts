import type { Kernel, ParameterKind } from '../codegen/kernel.js';
import type { F32, I32, Pointer, VectorBuilder } from '../codegen/vector.js';
import { OptionError } from '../core/errors.js';
import {
  callable,
  checkValues,
  oneOf,
  plainObject,
  someNumber,
  text,
  wholeFrom,
  wholeNumber,
  type Requirement,
} from '../core/requirements.js';
import { checkShape } from '../core/shape.js';
import { parameterList } from '../kernels/parameters.js';
import { commonDevice, operation, produce, Tensor } from '../tensor/index.js';

/** What a kernel's text reads of an argument. */
export interface KernelValues {
  readonly pointer: Pointer;
  readonly i32: I32;
  readonly f32: F32;
}

type Kinds = Readonly<Record<string, ParameterKind>>;
type Named<P extends Kinds> = { readonly [N in keyof P as P[N] extends 'pointer' ? N : never]: Tensor };

/** A kernel of your own. Functions are written as methods, so that one with parameters of its own is a `KernelDefinition` too. */
export interface KernelDefinition<P extends Kinds = Kinds> {
  readonly name: string;
  /** What it takes, by name: `'pointer'` for an f32 tensor, `'i32'` and `'f32'` for numbers. `out` is what it writes. */
  readonly parameters: P;
  /**
   * Its text, for WebAssembly and C. Tasks `k.begin … k.end` may run on any thread: none may read what another writes. It must write
   * all of `out`, and nothing beyond: no address is checked.
   */
  cpu(
    this: void,
    k: VectorBuilder,
    parameters: { readonly [N in keyof P]: KernelValues[P[N]] } & { readonly out: Pointer },
  ): void;
}

/** A run of a kernel of your own. */
export interface KernelCall<P extends Kinds = Kinds> {
  /** Tensors, f32, and numbers, by the names of the parameters. */
  readonly given: { readonly [N in keyof P]: P[N] extends 'pointer' ? Tensor : number };
  /** Of the output, f32. */
  readonly shape: readonly number[];
  readonly tasks: number;
  /** Multiply-adds of matrix products, for the counters; default 0. */
  readonly multiplyAdds?: number;
  /**
   * The gradients of the tensors for the output's, `d`, by name; it reads the tensors it is handed. Those left out have none. Default:
   * no gradient flows through.
   */
  gradient?(this: void, d: Tensor, tensors: Named<P> & { readonly out: Tensor }): Partial<Named<P>>;
}

const kinds = oneOf(['pointer', 'i32', 'f32']);
const definition = {
  name: text,
  parameters: {
    must: 'an object of "pointer", "i32" or "f32" by name, without out',
    holds: (value: unknown) =>
      plainObject.holds(value) && !('out' in (value as object)) && Object.values(value as object).every(kinds.holds),
  },
  cpu: callable,
};
const values: Readonly<Record<ParameterKind, Requirement>> = {
  pointer: { must: 'an f32 tensor', holds: (x) => x instanceof Tensor && x.dtype === 'f32' },
  i32: wholeNumber,
  f32: someNumber,
};
const call = {
  given: plainObject,
  shape: { must: 'a shape', holds: Array.isArray },
  tasks: wholeFrom(1),
  multiplyAdds: someNumber,
  gradient: callable,
};

let made = 0;

/**
 * A function that runs a kernel of your own, for what no operation does: `(call) => out`. The text is written once for all CPU devices,
 * see CONTRIBUTING; where an expression says it, `map` needs no kernel.
 *
 * @throws OptionError for what is not a definition; the function throws one for what its kernel does not take.
 */
export function defineKernel<const P extends Kinds>(own: KernelDefinition<P>): (call: KernelCall<P>) => Tensor {
  checkValues('defineKernel', own, definition, ['name', 'parameters', 'cpu']);
  const { name, parameters, cpu } = own;
  const list = parameterList({ ...parameters, out: 'pointer' });
  // two kernels of one name are two kernels
  const kernel: Kernel = {
    name: `own ${name}`,
    key: String(made++),
    parameters: list.kinds,
    cpu: (k) => cpu(k, list.read(k)),
  };
  const tensorNames = Object.keys(parameters).filter((one) => parameters[one] === 'pointer');
  const required = Object.fromEntries(Object.entries(parameters).map(([one, kind]) => [one, values[kind]]));
  if (tensorNames.length === 0) throw new OptionError(`defineKernel: ${name}: needs a tensor among its parameters.`);
  return (asked) => {
    checkValues(name, asked, call, ['given', 'shape', 'tasks']);
    checkShape(name, asked.shape);
    const { shape, tasks, multiplyAdds = 0, gradient } = asked;
    const given = asked.given as Readonly<Record<string, Tensor | number>>;
    checkValues(name, given, required, Object.keys(required));
    const inputs = tensorNames.map((one) => given[one] as Tensor);
    const device = commonDevice(name, inputs);
    const out = produce(shape, 'f32', device, (to) => {
      const all = Object.entries(given).map(([one, x]) => [one, typeof x === 'number' ? x : x.buffer] as const);
      device.run(kernel, list.pack({ ...Object.fromEntries(all), out: to.buffer } as never), tasks);
      device.counters.multiplyAdds += multiplyAdds;
      device.counters.bytesMoved += [...inputs, to].reduce((bytes, x) => bytes + x.byteLength, 0);
    });
    if (gradient) {
      const handed = { ...Object.fromEntries(tensorNames.map((one, i) => [one, inputs[i]!])), out };
      const back = (d: Tensor): (Tensor | undefined)[] => {
        const found = gradient(d, handed as never) as Readonly<Record<string, Tensor | undefined>>;
        return tensorNames.map((one) => found[one]);
      };
      operation(name, inputs, [out], ([d]) => back(d!), [...inputs, out]);
    }
    return out;
  };
}
