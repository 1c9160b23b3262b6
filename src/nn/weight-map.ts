import { isPlainObject } from '../core/describe.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { didYouMean } from '../core/names.js';
import { checkValue, checkValues, listOfTexts, text, type Requirement } from '../core/requirements.js';
import { show } from '../core/shape.js';
import { noGradient, scope, share, tensorsByName, type Tensor } from '../tensor/index.js';
import { aChange, same, type Change } from './weight-change.js';

/** A name or names of tensors, `{i}` standing for a number and `{*}` for any text. */
export type Names = string | readonly string[];

/** Their names, our names, and what makes theirs ours; default the tensor as it is. */
export type WeightRule = readonly [theirs: Names, ours: Names, change?: Change];

export interface WeightMapOptions {
  /** Their names that hold again what another of their names holds: not read, and written twice. */
  readonly ties?: Readonly<Record<string, string>>;
  /** Their names that hold no weights, such as masks and inverse frequencies: not read, and not written. */
  readonly ignored?: readonly string[];
  /** Our names that no checkpoint holds, such as numbers that are drawn from a seed: not missing, and not written. */
  readonly own?: readonly string[];
}

/** What a map made of a state, and everything that it could not. */
export interface Mapped {
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The name or names that each came from. */
  readonly origins: ReadonlyMap<string, string>;
  readonly reasons: readonly string[];
}

/** Tensors of theirs that together make some of ours. */
export interface MapPart {
  readonly theirs: readonly string[];
  readonly ours: readonly string[];
  readonly change: Change;
}

type State = ReadonlyMap<string, Tensor>;

/**
 * Between the names and layouts of a published checkpoint and ours, both ways. The first rule that knows a name takes it.
 *
 * ```ts
 * const map = weightMap(
 *   [
 *     ['model.embed_tokens.weight', 'ends.embedding.weight'],
 *     ['model.layers.{i}.self_attn.o_proj.weight', 'stack.layers.{i}.attention.out.weight', transposed],
 *   ],
 *   { ties: { 'lm_head.weight': 'model.embed_tokens.weight' } },
 * );
 * model.load(theirs, { map });
 * const published = map.toTheirs(model.stateDict()); // the caller disposes of them
 * ```
 */
export class WeightMap {
  readonly #rules: readonly Rule[];
  readonly #ties: readonly Rule[];
  readonly #ignored: readonly Pattern[];
  readonly #own: readonly Pattern[];

  /** Use `weightMap`. @internal */
  constructor(rules: readonly WeightRule[], { ties = {}, ignored = [], own = [] }: WeightMapOptions) {
    this.#own = own.map(patternOf);
    this.#rules = rules.map(([theirs, ours, change = same]) => ({
      from: patterns(theirs),
      to: patterns(ours),
      change,
    }));
    this.#ties = Object.entries(ties).map(([copy, of]) => ({ from: patterns(copy), to: patterns(of), change: same }));
    this.#ignored = ignored.map(patternOf);
  }

  /** Our tensors of theirs, in the current scope; those that are as they were are the same ones. @internal */
  toOurs(state: State): Mapped {
    const left = new Map([...state].filter(([name]) => this.reads(name)));
    return mapped(left, this.#rules, (change, tensors) => change.toOurs(tensors));
  }

  /** Whether a name of theirs is neither tied to another nor ignored. @internal */
  reads(name: string): boolean {
    return ![...this.#ties.flatMap(({ from }) => from), ...this.#ignored].some((one) => one.match(name));
  }

  /** Whether a name of ours is in no checkpoint. @internal */
  isOwn(name: string): boolean {
    return this.#own.some((one) => one.match(name));
  }

  /**
   * Which of their names are read together, so that a file can be read part by part. A part may name tensors that are not among them,
   * and no part has those that no rule knows: `toOurs` says so. @internal
   */
  parts(names: readonly string[]): readonly MapPart[] {
    const taken = new Set<string>();
    return names.flatMap((name) => {
      const found = taken.has(name) || !this.reads(name) ? undefined : partOf(name, this.#rules);
      if (found === undefined) return [];
      found.from.forEach((one) => taken.add(one));
      return [{ theirs: found.from, ours: found.to, change: found.change }];
    });
  }

  /**
   * Their tensors of ours, ties included, such as `stateDict` gives; the caller disposes of them, and ours stay.
   *
   * @throws ShapeError naming every tensor of ours that no rule knows, or whose shape its rule does not take; OptionError for what is no
   * map of tensors.
   */
  toTheirs(state: State): Map<string, Tensor> {
    checkValue('weightMap', 'state', state, tensorsByName);
    const turned = this.#rules.map(({ from, to, change }) => ({ from: to, to: from, change }));
    const own = new Set(state.values());
    return scope(() => {
      const written = new Map([...state].filter(([name]) => !this.isOwn(name)));
      const { tensors, reasons } = mapped(written, turned, (change, ours) => change.toTheirs(ours));
      if (reasons.length > 0) {
        throw new ShapeError(`weightMap: ${reasons.length} tensors do not fit: ${reasons.join('; ')}.`);
      }
      const copies = this.#ties.flatMap(({ from: [copy], to: [of] }) =>
        [...tensors].flatMap(([name, tensor]) => {
          const found = of!.match(name);
          return found ? [[copy!.fill(found), share(tensor)] as const] : [];
        }),
      );
      const each = [...tensors].map(([name, tensor]) => [name, own.has(tensor) ? share(tensor) : tensor] as const);
      return new Map([...each, ...copies]);
    });
  }
}

const names: Requirement = { must: 'a name or names', holds: (x) => text.holds(x) || listOfTexts.holds(x) };
const theRules: Requirement = {
  must: 'a list of [their names, our names, change]',
  holds: (value) =>
    Array.isArray(value) &&
    value.every(
      (rule) =>
        Array.isArray(rule) &&
        rule.slice(0, 2).every(names.holds) &&
        [2, 3].includes(rule.length) &&
        (rule[2] === undefined || aChange.holds(rule[2])),
    ),
};
const pairsOfNames: Requirement = {
  must: 'an object of their names by their names',
  holds: (value) => isPlainObject(value) && Object.values(value).every(text.holds),
};

/** @throws OptionError for what are no rules, and names whose places differ, which could not be filled. */
export function weightMap(rules: readonly WeightRule[], options: WeightMapOptions = {}): WeightMap {
  checkValue('weightMap', 'rules', rules, theRules);
  checkValues('weightMap', options, { ties: pairsOfNames, ignored: listOfTexts, own: listOfTexts });
  const places = (of: Names): string =>
    [of]
      .flat()
      .map((name) => [...name.matchAll(PLACE)].join())
      .join(' ');
  for (const [theirs, ours] of rules) {
    const all = [theirs, ours].flat();
    if (all.length > 0 && new Set(all.map(places)).size === 1) continue;
    throw new OptionError(
      `weightMap: the names of a rule must have the same places, such as {i}, in one order; got ${[theirs].flat().join(', ')} and ${[ours].flat().join(', ')}.`,
    );
  }
  return new WeightMap(rules, options);
}

interface Rule {
  readonly from: readonly Pattern[];
  readonly to: readonly Pattern[];
  readonly change: Change;
}

interface Pattern {
  readonly text: string;
  /** What stands in the places; undefined for a name that is none of these. */
  readonly match: (name: string) => readonly string[] | undefined;
  readonly fill: (values: readonly string[]) => string;
}

const PLACE = /\{[a-z]\}|\{\*\}/g;

const patterns = (names: Names): Pattern[] => [names].flat().map(patternOf);

function patternOf(text: string): Pattern {
  const parts = text.split(PLACE).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const places = [...text.matchAll(PLACE)].map(([place]) => (place === '{*}' ? '(.+)' : '(\\d+)'));
  const form = new RegExp(`^${parts.map((part, i) => part + (places[i] ?? '')).join('')}$`);
  return {
    text,
    match: (name) => form.exec(name)?.slice(1),
    fill: (values) => {
      let at = 0;
      return text.replace(PLACE, () => values[at++]!);
    },
  };
}

/** What the first rule that knows a name takes and makes. */
function partOf(
  name: string,
  rules: readonly Rule[],
): { readonly from: readonly string[]; readonly to: readonly string[]; readonly change: Change } | undefined {
  for (const { from, to, change } of rules) {
    const values = from.map((one) => one.match(name)).find((one) => one !== undefined);
    if (values) return { from: from.map((one) => one.fill(values)), to: to.map((one) => one.fill(values)), change };
  }
  return undefined;
}

function mapped(
  state: State,
  rules: readonly Rule[],
  make: (change: Change, tensors: readonly Tensor[]) => readonly Tensor[],
): Mapped {
  const tensors = new Map<string, Tensor>();
  const origins = new Map<string, string>();
  const reasons: string[] = [];
  const taken = new Set<string>();
  for (const name of state.keys()) {
    if (taken.has(name)) continue;
    const found = partOf(name, rules);
    if (found === undefined) {
      const known = rules.flatMap(({ from }) => from.map(({ text }) => text));
      reasons.push(`unexpected ${name} ${show(state.get(name)!.shape)}${didYouMean(name, known)}`);
      continue;
    }
    found.from.forEach((one) => taken.add(one));
    const absent = found.from.filter((one) => !state.has(one));
    if (absent.length > 0) {
      reasons.push(
        `missing ${absent.join(' and ')}, which with ${found.from.filter((one) => state.has(one)).join(' and ')} makes ${found.to.join(' and ')}`,
      );
      found.to.forEach((one) => origins.set(one, found.from.join(' and ')));
      continue;
    }
    try {
      const whole = found.from.map((one) => state.get(one)!);
      noGradient(() => make(found.change, whole)).forEach((tensor, i) => tensors.set(found.to[i]!, tensor));
    } catch (error) {
      const shapes = found.from.map((one) => `${one} ${show(state.get(one)!.shape)}`);
      reasons.push(
        `${shapes.join(' and ')} cannot become ${found.to.join(' and ')}: ${(error as Error).message.replace(/\.$/, '')}`,
      );
    }
    found.to.forEach((one) => origins.set(one, found.from.join(' and ')));
  }
  return { tensors, origins, reasons };
}
