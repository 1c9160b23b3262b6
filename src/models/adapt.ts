import { OptionError } from '../core/errors.js';
import { checkValue, made } from '../core/requirements.js';
import { Linear, Module, type LowRankOptions } from '../nn/index.js';
import { noGradient, type Tensor } from '../tensor/index.js';

/** Adapters of low rank beside the matrices of a model, which alone are trained. */
export interface LoraConfig extends LowRankOptions {
  /** Linear layers that have one, by their last names, such as `qkv`, `out`, `up`; default those of attention. */
  readonly on?: readonly string[];
}

/** Projections of attention. */
const usual = ['qkv', 'query', 'keyValue', 'out'];
const NAME = 'lora';
const aModel = made('a model, such as createModel makes', Module);

const lastOf = (path: string): string => path.slice(path.lastIndexOf('.') + 1);
/** Of what adapters are beside: a head of classes is trained as a whole. */
const isFrozen = (name: string): boolean => /^(ends|stack|encoder|decoder)\./.test(name);
const linearsOf = (model: Module): readonly Linear[] =>
  model
    .modules()
    .filter((one): one is Linear => one instanceof Linear && isFrozen(one.path) && !one.path.startsWith('ends.'));

/** alpha is twice the rank where it is not said. */
export const loraOf = ({ rank, ...given }: Readonly<Record<string, unknown>>): LoraConfig =>
  ({ rank, alpha: 2 * (rank as number), ...given }) as LoraConfig;

/**
 * Gives linear layers of a model an adapter each and freezes what was there, but for a head of classes. Where B is zero, as it begins, the model gives what it gave.
 *
 * @throws OptionError for a name that no linear layer has.
 */
export function adapt(model: Module, { on, ...options }: LoraConfig): void {
  const linears = linearsOf(model);
  const names = [...new Set(linears.map(({ path }) => lastOf(path)))];
  const missing = (on ?? []).filter((name) => !names.includes(name));
  if (missing.length > 0) {
    throw new OptionError(
      `lora: no linear layer of this model is called ${missing.join(' or ')}; there are ${names.join(', ')}.`,
    );
  }
  const chosen = linears.filter(({ path }) => (on ?? usual).includes(lastOf(path)));
  if (chosen.length === 0) {
    throw new OptionError(
      `lora: this model has no projections ${usual.join(', ')}; say on which of ${names.join(', ')}.`,
    );
  }
  model.freeze(isFrozen);
  for (const linear of chosen) linear.adapt(options);
}

/** The tensors of a model's adapters, by dotted name: all that training changed. They stay the model's. */
export function adaptersOf(model: Module): ReadonlyMap<string, Tensor> {
  checkValue('adaptersOf', 'model', model, aModel);
  return new Map([...model.stateDict()].filter(([name]) => name.split('.').at(-2) === NAME));
}

/**
 * Adds every adapter to its matrix and takes it away: the model is then one without, whose configuration has no `lora`. All that is left
 * is trained again.
 */
export function mergeAdapters(model: Module): void {
  checkValue('mergeAdapters', 'model', model, aModel);
  noGradient(() => {
    for (const linear of linearsOf(model)) linear.merge();
  });
  model.freeze(() => true, false);
}
