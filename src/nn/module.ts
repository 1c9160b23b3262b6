import { drawParameter, type ParameterSpec } from '../attention/parameters.js';
import { describe } from '../core/describe.js';
import { floatDtypes, type FloatDtype } from '../core/dtype.js';
import { OptionError } from '../core/errors.js';
import {
  anything,
  callable,
  checkValue,
  checkValues,
  flag,
  listOf,
  made,
  oneOf,
  reasonsAgainst,
  text,
  wholeFrom,
  type Requirement,
} from '../core/requirements.js';
import { checkShape } from '../core/shape.js';
import type { Device } from '../devices/device.js';
import { scope, someDevice, someTensor, type Tensor } from '../tensor/index.js';
import { Parameter } from './parameter.js';
import { fitting, type LoadOptions } from './state.js';

/** The step that is trained: with the seed and a module's path it decides what dropout drops. */
export interface Training {
  readonly seed: number;
  /** Counts the forward passes that must draw anew; with accumulated gradients that is every part of a step. */
  readonly step: number;
}

export interface InitialiseOptions {
  readonly device: Device;
  readonly seed: number;
}

/**
 * A layer, or layers of layers: a tree of named parameters. A subclass names its parameters and children in the
 * constructor, which needs no device; `initialise` or `load` of the root then gives them values.
 *
 * ```ts
 * class Head extends Module {
 *   readonly norm = this.child('norm', new LayerNorm(64));
 *   readonly out = this.child('out', new Linear(64, 256));
 *
 *   forward(x: Tensor): Tensor {
 *     return scope(() => this.out.forward(this.norm.forward(x)));
 *   }
 * }
 * ```
 */
export abstract class Module {
  readonly #parameters = new Map<string, Parameter>();
  readonly #children = new Map<string, Module>();
  #place: { readonly parent: Module; readonly name: string } | undefined;
  #training: Training | undefined;

  /** Names a parameter; what it begins with depends on the seed and its path alone. @throws OptionError for a bad name. */
  protected parameter(name: string, spec: ParameterSpec): Parameter {
    this.#checkName(name);
    const who = `parameter ${join(this.path, name)}`;
    checkValues(who, spec, { shape: anything, init: callable, learned: flag, narrows: flag }, [
      'shape',
      'init',
      'learned',
    ]);
    checkShape(who, spec.shape);
    const parameter = new Parameter(spec, () => join(this.path, name));
    this.#parameters.set(name, parameter);
    return parameter;
  }

  /** Names a part of this module. @throws OptionError for a bad name, or a part that belongs to another module. */
  protected child<M extends Module>(name: string, module: M): M {
    this.#checkName(name);
    checkValue(`module ${join(this.path, name)}`, 'the part', module, someModule);
    const child: Module = module;
    if (child.#place !== undefined || child === this) {
      throw new OptionError(
        `module ${join(this.path, name)}: is already ${child.path || 'the root'}; a shared layer is named once and called twice.`,
      );
    }
    child.#place = { parent: this, name };
    this.#children.set(name, module);
    return module;
  }

  /** Takes a part away again; it is then the caller's. */
  protected remove(name: string): void {
    checkValue('module', 'name', name, text);
    this.#children.delete(name);
  }

  #checkName(name: string): void {
    const taken = this.#parameters.has(name) || this.#children.has(name);
    if (!taken && typeof name === 'string' && /^[\w-]+$/.test(name)) return;
    const rule = taken ? 'is already taken' : 'must be letters, digits, _ and -';
    throw new OptionError(`module ${this.path || 'root'}: the name ${describe(name)} ${rule}.`);
  }

  /** Dotted names from the root: `layers.3.feed-forward`; empty for the root. */
  get path(): string {
    return this.#place === undefined ? '' : join(this.#place.parent.path, this.#place.name);
  }

  /** The training step of the last `train`; undefined after `eval` and at first. */
  get training(): Training | undefined {
    return this.#training;
  }

  /** This module and all below it, each before its children, in the order they were named. */
  modules(): Module[] {
    return [this, ...[...this.#children.values()].flatMap((child) => child.modules())];
  }

  /** Parameters by dotted name from this module: its own, then its children's, in the order they were named. */
  namedParameters(): Map<string, Parameter> {
    const below = [...this.#children].flatMap(([name, child]) =>
      [...child.namedParameters()].map(([inner, parameter]) => [join(name, inner), parameter] as const),
    );
    return new Map([...this.#parameters, ...below]);
  }

  /**
   * Draws all parameters, in place of what was there. Each depends on the seed and its dotted name from the root alone, so a
   * layer more changes nothing in the others.
   *
   * @throws OptionError for what is not a device, or a seed that is not a whole number of at least 0.
   */
  initialise(options: InitialiseOptions): this {
    checkValues('initialise', options, { device: someDevice, seed: wholeFrom(0) }, ['device', 'seed']);
    const { device, seed } = options;
    for (const parameter of this.namedParameters().values()) {
      scope(() => {
        const purpose = `parameter ${parameter.path()}`;
        parameter.set(drawParameter(parameter.spec, { device, seed, purpose }));
      });
    }
    return this;
  }

  /** The tensors by dotted name. They stay the module's: they are gone once the parameter changes. */
  stateDict(): Map<string, Tensor> {
    return new Map([...this.namedParameters()].map(([name, parameter]) => [name, parameter.value]));
  }

  /**
   * The tensors that training changes, by dotted name: what an optimiser takes, and whose gradients are asked for. What is
   * drawn once and kept (Performer's features, Reformer's planes), or frozen, is in `stateDict` only.
   *
   * ```ts
   * const optimiser = adamW([...model.learnedTensors()]);
   * const found = gradients([loss], [...model.learnedTensors().values()]);
   * ```
   *
   * @throws OptionError where a matrix is stored in 16 bits and not frozen.
   */
  learnedTensors(): Map<string, Tensor> {
    const learned = [...this.namedParameters()].filter(([, { spec, frozen }]) => spec.learned && !frozen);
    const narrow = learned.find(([, { storage }]) => storage !== 'f32');
    if (narrow !== undefined) {
      throw new OptionError(
        `model: parameter ${narrow[0]} is stored as ${narrow[1].storage}, in which small steps of training are lost; ` +
          "store('f32') it, or freeze() it.",
      );
    }
    return new Map(learned.map(([name, { value }]) => [name, value]));
  }

  /**
   * How matrices are kept from now on, those that are there and those that `load` or `initialise` will bring: with `'f16'` or `'bf16'` in
   * half the memory, rounded to the nearest. Products widen them and add up in f32; what is no matrix
   * of a product stays f32. A model that is stored so is not trained, but for what is beside its matrices.
   *
   * @throws OptionError for another dtype.
   */
  store(dtype: FloatDtype): this {
    checkValue('store', 'dtype', dtype, oneOf(floatDtypes));
    for (const parameter of this.namedParameters().values())
      if (parameter.spec.narrows) scope(() => parameter.store(dtype));
    return this;
  }

  /**
   * Whether training leaves parameters as they are: those whose dotted name from this module `which` is true of, by default all. They
   * are not among `learnedTensors` then, and have no gradients; others stay as they were.
   */
  freeze(which: (name: string) => boolean = () => true, frozen = true): this {
    checkValue('freeze', 'which', which, callable);
    checkValue('freeze', 'frozen', frozen, flag);
    for (const [name, parameter] of this.namedParameters()) if (which(name)) scope(() => parameter.freeze(frozen));
    return this;
  }

  /**
   * Copies a state, such as that of another module of this configuration. Floats are converted to how parameters are stored (`store`), f32 by default. The options are for states
   * from elsewhere: a part of a model, tensors too many, weights stored the other way round.
   *
   * ```ts
   * const linear = model.modules().flatMap((one) => (one instanceof Linear ? one.weight.path() : []));
   * model.load(state, { transposed: (name) => linear.includes(name), unexpected: 'ignore' });
   * ```
   *
   * @throws ShapeError naming every tensor that is missing, unexpected, of another shape, or not of floats, and where none
   *   fits; OptionError for an unknown option. Nothing has changed then.
   */
  load(state: ReadonlyMap<string, Tensor>, options?: LoadOptions): this {
    const parameters = this.namedParameters();
    scope(() => {
      for (const [name, value] of fitting(this.path || 'model', parameters, state, options)) {
        parameters.get(name)!.set(value);
      }
    });
    return this;
  }

  /**
   * Dropout is active from now on, in this module and below. Call it before every step.
   *
   * @throws OptionError for a seed or step that is not a whole number of at least 0.
   */
  train(training: Training): this {
    checkValues('train', training, { seed: wholeFrom(0), step: wholeFrom(0) }, ['seed', 'step']);
    const { seed, step } = training;
    return this.#run({ seed, step });
  }

  /** Dropout is the identity from now on, in this module and below. */
  eval(): this {
    return this.#run(undefined);
  }

  #run(training: Training | undefined): this {
    for (const module of this.modules()) module.#training = training;
    return this;
  }

  /**
   * Runs `body` with other tensors as the parameters, in the order of `namedParameters`, and with the training step that each of
   * `modules` had. @internal
   */
  during<T>(tensors: readonly Tensor[], trainings: readonly (Training | undefined)[], body: () => T): T {
    const parameters = [...this.namedParameters().values()];
    const modules = this.modules();
    const before = parameters.map((parameter, i) => parameter.lend(tensors[i]));
    const steps = modules.map((module) => module.#training);
    modules.forEach((module, i) => (module.#training = trainings[i]));
    try {
      return body();
    } finally {
      parameters.forEach((parameter, i) => parameter.lend(before[i]));
      modules.forEach((module, i) => (module.#training = steps[i]));
    }
  }

  /** Frees all parameters, and what modules keep beside them. The module may be initialised or loaded again. */
  dispose(): void {
    for (const parameter of this.#parameters.values()) parameter.dispose();
    for (const child of this.#children.values()) child.dispose();
  }
}

const someModule = made('a module', Module);
export const someModules = listOf('modules', someModule);
/** Layers of a stack, each an object of modules and functions of tensors. */
export const layersWith = (...functions: readonly string[]): Requirement => {
  const layer = {
    modules: someModules,
    given: listOf('tensors', someTensor),
    ...Object.fromEntries(functions.map((name) => [name, callable])),
  };
  const names = ['modules', ...functions];
  return listOf(`layers { ${names.join(', ')} }`, {
    must: 'a layer',
    holds: (value) => reasonsAgainst(value, layer, names).length === 0,
  });
};

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`);
