import {
  mechanism as named,
  type AnyOptions,
  type AttentionShape,
  type Mechanism,
  type OptionSpecs,
  type Supports,
} from '../attention/index.js';
import { resolveOptions } from '../attention/options.js';
import { CapabilityError, OptionError, ShapeError } from '../core/errors.js';

/** A mechanism with the options that were asked for. */
export interface Variant {
  /** The mechanism's name and the given options, such as `longformer:radius=128`. */
  readonly name: string;
  readonly mechanism: Mechanism;
  readonly options: Readonly<Record<string, unknown>>;
}

/** What speed-ups are measured against. */
export const baselines: readonly string[] = ['standard', 'flash'];

const core: readonly string[] = [
  ...baselines,
  'sliding-window',
  'strided',
  'fixed',
  'longformer',
  'bigbird',
  'linformer',
  'nystromformer',
  'performer',
  'linear-transformer',
  'reformer',
  'fnet',
];

/** One or two well-known mechanisms of every family. */
export const coreSet = (): Mechanism[] => core.map(named);

export function variant<O extends OptionSpecs, P extends string, I extends string, S extends Supports>(
  mechanism: Mechanism<O, P, I, S>,
  options: Readonly<Record<string, unknown>> = {},
): Variant {
  const given = Object.entries(options).map(([name, value]) => `${name}=${optionText(value)}`);
  return { name: [mechanism.name, ...given].join(':'), mechanism: mechanism, options };
}

/** An option value as the command line takes it. */
const optionText = (value: unknown): string => (Array.isArray(value) ? value.join('+') || 'none' : String(value));

/** The variants with the baselines that are missing among them in front. */
export function withBaselines(variants: readonly Variant[]): Variant[] {
  const missing = baselines.filter((name) => !variants.some(({ mechanism }) => mechanism.name === name));
  return [...missing.map((name) => variant(named(name))), ...variants];
}

/** A mechanism without a bidirectional form is causal whatever is asked. */
export const isCausal = ({ mechanism }: Variant, asked: boolean): boolean =>
  asked || mechanism.definition.supports.causal === 'only';

/** What a variant is called with. */
export const callOf = (variant: Variant, { causal, seed }: { causal: boolean; seed: number }): AnyOptions => ({
  ...variant.options,
  causal: isCausal(variant, causal),
  seed,
});

/** Options that the variants' mechanisms do not have or take, a sentence each. */
export const optionFaults = (variants: readonly Variant[], shape: AttentionShape): string[] =>
  variants.flatMap(({ mechanism, options }) =>
    resolveOptions(mechanism.definition.options, options, shape).refused.map((why) => `${mechanism.name}: ${why}`),
  );

/** Why a mechanism does not take a shape; undefined where it does. */
export function refusal({ mechanism }: Variant, shape: AttentionShape, call: AnyOptions): string | undefined {
  try {
    mechanism.settle(shape, call);
    return undefined;
  } catch (error) {
    if (!(error instanceof OptionError || error instanceof CapabilityError || error instanceof ShapeError)) throw error;
    // the row says which mechanism and which sizes
    return error.message.slice(`${mechanism.name}: `.length).replace(/ \(B=[^()]*\)\.$/, '');
  }
}
