import type { Expression } from '../../codegen/expression/index.js';
import { CapabilityError, OptionError, ShapeError } from '../../core/errors.js';
import { sameShape, show, type Shape } from '../../core/shape.js';
import { runElementwise, runElementwiseRows } from '../../tensor/elementwise.js';
import {
  commonDevice,
  disposeAll,
  keep,
  noGradient,
  numbersOf,
  scope,
  Tensor,
  zeros,
  type Gradient,
} from '../../tensor/index.js';
import { x0 } from './expressions.js';
import { callable, notNegative, reasonsAgainst, refuse, type Requirements } from '../../core/requirements.js';
import { reasonsAgainstParameters, reasonsAgainstState } from './refusals.js';
import type { DecayOptions, NamedTensors, Optimiser, OptimiserState, StepOptions } from './types.js';

/** What an update reads and writes. */
export interface Update {
  readonly parameter: Tensor;
  /** Of an update of rows, those alone; `run` knows whose they are. */
  readonly gradient: Tensor;
  /** Tensors kept for this parameter, by the names of `slots`. */
  readonly slots: Readonly<Record<string, Tensor>>;
  /** Updates of this parameter, with this one. */
  readonly count: number;
  readonly learningRate: number;
  /** The part of the weights that decay takes: `learningRate·λ`, or 0. */
  readonly decay: number;
  /** `runElementwise` of the parameter, the gradient and slots of their shape: of all elements, or of the rows that have a gradient. */
  readonly run: (expression: Expression, inputs: readonly Tensor[], out: Tensor) => void;
}

/** What distinguishes one optimiser from another. */
export interface UpdateRule {
  readonly name: string;
  /** Shapes of the tensors kept for a parameter; they are 0 before its first update. */
  readonly slots: (shape: Shape) => Readonly<Record<string, Shape>>;
  readonly update: (update: Update) => void;
  /** Whether an update of rows can leave the others alone: it computes by `run` alone, on slots of the parameter's shape. */
  readonly updatesRows: boolean;
}

interface Entry {
  readonly name: string;
  readonly parameter: Tensor;
  readonly decays: boolean;
  readonly slots: Readonly<Record<string, Tensor>>;
  count: number;
}

/** @throws OptionError with every reason against the options and the parameters. */
export function checkOptimiser(
  who: string,
  parameters: NamedTensors,
  options: object,
  requirements: Requirements,
): void {
  const known = { ...requirements, weightDecay: notNegative, decays: callable };
  refuse(who, [...reasonsAgainst(options, known), ...reasonsAgainstParameters(parameters)]);
}

const decaysByDefault = (_: string, shape: Shape): boolean => shape.length >= 2;

/** The optimiser that applies `rule` to each parameter. The options were checked before. */
export function optimiser(
  rule: UpdateRule,
  parameters: NamedTensors,
  { weightDecay = 0, decays = decaysByDefault }: DecayOptions,
): Optimiser {
  // in a scope, so that nothing stays behind when memory runs out half-way
  const entries = scope(() =>
    parameters.map(([name, parameter]): Entry => {
      const { device, shape } = parameter;
      const slots = Object.entries(rule.slots(shape)).map(([slot, kept]) => [
        slot,
        zeros(kept, { device, category: 'parameter' }),
      ]);
      return {
        name,
        parameter,
        decays: decays(name, shape),
        slots: Object.fromEntries(slots) as Record<string, Tensor>,
        count: 0,
      };
    }),
  );
  for (const { slots } of entries) keep(slots);
  return new RuleOptimiser(rule, entries, weightDecay);
}

class RuleOptimiser implements Optimiser {
  #steps = 0;
  #disposed = false;

  readonly #rule: UpdateRule;
  readonly #entries: readonly Entry[];
  readonly #weightDecay: number;

  constructor(rule: UpdateRule, entries: readonly Entry[], weightDecay: number) {
    this.#rule = rule;
    this.#entries = entries;
    this.#weightDecay = weightDecay;
  }

  get name(): string {
    return this.#rule.name;
  }

  get steps(): number {
    return this.#steps;
  }

  step(gradients: readonly (Gradient | undefined)[], options: StepOptions): void {
    this.#alive('step');
    this.#check(gradients, options);
    const { learningRate } = options;
    this.#steps++;
    this.#entries.forEach((entry, i) => {
      const gradient = gradients[i];
      if (gradient === undefined) return;
      entry.count++;
      const { parameter, slots, count } = entry;
      const decay = entry.decays ? learningRate * this.#weightDecay : 0;
      const run: Update['run'] =
        gradient instanceof Tensor
          ? runElementwise
          : (expression, inputs, out) => runElementwiseRows(expression, inputs, out, gradient);
      const update = { parameter, gradient: numbersOf(gradient), slots, count, learningRate, decay, run };
      scope(() => noGradient(() => this.#rule.update(update)));
    });
  }

  #check(gradients: readonly (Gradient | undefined)[], options: StepOptions): void {
    const who = `${this.name}.step`;
    refuse(who, reasonsAgainst(options, { learningRate: notNegative }, ['learningRate']));
    if (options.learningRate * this.#weightDecay > 1) {
      throw new OptionError(
        `${who}: learningRate·weightDecay must be at most 1, or decay turns weights around; got ` +
          `${options.learningRate}·${this.#weightDecay}. Lower one of them.`,
      );
    }
    if (gradients.length !== this.#entries.length) {
      throw new ShapeError(
        `${who}: one gradient per parameter, undefined where there is none; got ${gradients.length} for ${this.#entries.length} parameters.`,
      );
    }
    const given = gradients.filter((gradient) => gradient !== undefined).map(numbersOf);
    commonDevice(who, [...this.#entries.map(({ parameter }) => parameter), ...given]);
    const owners = new Map(this.#entries.map(({ name, parameter }) => [parameter.buffer, name]));
    const reasons = this.#entries.flatMap(({ name, parameter: { shape } }, i) => {
      const gradient = gradients[i];
      if (gradient === undefined) return [];
      const { buffer, dtype } = numbersOf(gradient);
      const owner = owners.get(buffer);
      if (owner !== undefined) return `the gradient of ${name} lies in the memory of parameter ${owner}; copy it`;
      if (dtype === 'f32' && sameShape(gradient.shape, shape)) return [];
      return `the gradient of ${name} must be f32${show(shape)}; got ${dtype}${show(gradient.shape)}`;
    });
    if (reasons.length > 0) throw new ShapeError(`${who}: ${reasons.join('; ')}.`);
    const ofRows = this.#entries.filter((_, i) => gradients[i] !== undefined && !(gradients[i] instanceof Tensor));
    if (ofRows.length === 0 || this.#rule.updatesRows) return;
    throw new CapabilityError(
      `${who}: gradients of ${ofRows.map(({ name }) => name).join(', ')} are of the rows that were read, and ${this.name} keeps means over ` +
        'all rows; take adamW, sgd or lion, or layers with { sparse: false }.',
    );
  }

  state(): OptimiserState {
    this.#alive('state');
    return {
      optimiser: this.name,
      steps: this.#steps,
      updates: Object.fromEntries(this.#entries.map(({ name, count }) => [name, count])),
      tensors: [...this.#tensors()],
    };
  }

  load(state: OptimiserState): void {
    this.#alive('load');
    refuse(`${this.name}.load`, reasonsAgainstState(this.state(), state));
    const given = new Map(state.tensors);
    for (const [name, own] of this.#tensors()) runElementwise(x0, [given.get(name)!], own);
    for (const entry of this.#entries) entry.count = state.updates[entry.name]!;
    this.#steps = state.steps;
  }

  dispose(): void {
    this.#disposed = true;
    for (const { slots } of this.#entries) disposeAll(slots);
  }

  #tensors(): Map<string, Tensor> {
    return new Map(
      this.#entries.flatMap(({ name, slots }) =>
        Object.entries(slots).map(([slot, kept]): [string, Tensor] => [`${name}.${slot}`, kept]),
      ),
    );
  }

  #alive(method: string): void {
    if (this.#disposed) throw new OptionError(`${this.name}.${method}: the optimiser was disposed; make another one.`);
  }
}
