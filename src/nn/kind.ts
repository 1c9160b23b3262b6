import { describedFaults } from '../attention/check-definition.js';
import type { Cost, Paper } from '../attention/index.js';
import { resolveOptions, type AttentionShape, type OptionSpecs, type OptionValues } from '../attention/options.js';
import { checkedCost } from '../attention/returned.js';
import { CapabilityError, OptionError } from '../core/errors.js';
import {
  callable,
  checkValue,
  checkValues,
  plainObject,
  reasonsAgainst,
  text,
  type Requirements,
} from '../core/requirements.js';

/**
 * What a branch of a layer says of itself, whatever it does. `S` are the sizes it is made for. Functions are written as methods, so that
 * one with options of its own is a kind too.
 */
export interface KindDefinition<S, O extends OptionSpecs = OptionSpecs> {
  /** Lower case, hyphens. */
  readonly name: string;
  /** The idea in one sentence. */
  readonly summary: string;
  readonly paper: Paper;
  readonly formula: string;
  /** Where it departs from the paper. */
  readonly relativeToPaper?: string;
  /** Defaults that depend on a shape see `L = S = length`. */
  readonly options: O;
  /** Reasons not to run, a sentence each: what is wrong and what would do. */
  refuse?(this: void, sizes: S, options: OptionValues<O>): readonly string[];
  /** Multiply-adds of one sequence of `length` rows, forward. */
  cost?(this: void, sizes: S, options: OptionValues<O>): Cost;
}

const requirements: Requirements = {
  name: { must: 'lower case with hyphens', holds: (x) => typeof x === 'string' && /^[a-z][a-z0-9-]*$/.test(x) },
  summary: text,
  paper: plainObject,
  formula: text,
  relativeToPaper: text,
  options: plainObject,
  supports: plainObject,
  refuse: callable,
  cost: callable,
};
const needed = ['name', 'summary', 'paper', 'formula', 'options'];

/** What is wrong with a definition; `more` and `own` are what its kind has, and needs, beside the rest. */
export function kindFaults(
  given: KindDefinition<never>,
  more: Requirements,
  own: readonly string[],
): readonly string[] {
  const faults = reasonsAgainst(given, { ...requirements, ...more }, [...needed, ...own]);
  return faults.length > 0 ? faults : describedFaults(given);
}

/** What a kind knows of the sizes that it is made for. */
interface SizesRule<S> {
  /** Of every size. */
  readonly sizes: Requirements;
  /** Those among them that need not be given. */
  readonly optional?: readonly string[];
  /** What defaults of options see. */
  readonly shapeOf: (sizes: S) => AttentionShape;
  /** What cannot be at such sizes, whatever the options. */
  readonly incapable: (sizes: S) => readonly string[];
}

/** A kind of branch, known by its name: options are settled for sizes, and costs told, before one is made. */
export class Kind<S extends object, O extends OptionSpecs, D extends KindDefinition<S, O>> {
  readonly name: string;
  readonly #rule: SizesRule<S>;

  /** Use `defineMixer` or `defineFeedForward`. @internal */
  constructor(
    readonly definition: D,
    rule: SizesRule<S>,
  ) {
    this.name = definition.name;
    this.#rule = rule;
  }

  /** @throws OptionError or CapabilityError with every reason. */
  settle(sizes: S, given: Readonly<Record<string, unknown>> = {}): OptionValues<O> {
    const { sizes: ofSizes, optional = [], shapeOf, incapable } = this.#rule;
    checkValues(
      this.name,
      sizes,
      ofSizes,
      Object.keys(ofSizes).filter((name) => !optional.includes(name)),
    );
    checkValue(this.name, 'options', given, plainObject);
    const { options, refuse } = this.definition;
    const { values, refused } = resolveOptions(options, given, shapeOf(sizes));
    const reasons = refused.length > 0 ? refused : (refuse?.(sizes, values) ?? []);
    const all = [...incapable(sizes), ...reasons];
    if (all.length === 0) return values;
    throw new (reasons.length > 0 ? OptionError : CapabilityError)(`${this.name}: ${all.join('; ')}.`);
  }

  /** Multiply-adds of one sequence of `length` rows, forward; undefined where the definition does not say. @throws as `settle`. */
  cost(sizes: S, options: Readonly<Record<string, unknown>> = {}): Cost | undefined {
    const cost = this.definition.cost?.(sizes, this.settle(sizes, options));
    return cost && checkedCost(this.name, cost);
  }
}
