import { type Exactness, mechanism as find } from '../attention/index.js';
import { CapabilityError, NumericsError, OptionError, OutOfMemoryError, ShapeError } from '../core/errors.js';
import type { TokenSource } from '../data/index.js';
import type { Device } from '../devices/index.js';
import { mechanismNames } from '../models/config-layers.js';
import type { LanguageModel, ModelConfig } from '../models/index.js';
import { machine, type Machine } from './machine.js';
import { coreSet, type Variant, variant } from './mechanisms.js';
import { type Perplexity, perplexity } from './perplexity.js';
import { type Swapped, swapMechanism } from './swap.js';
import { windowsOf, type WindowOptions } from './windows.js';

export interface ComparePerplexityOptions {
  /** Swapped in one after the other; the trained attention runs in any case. */
  readonly variants: readonly Variant[];
  /** Tokens that the model sees at a time. */
  readonly lengths: readonly number[];
  /** Bytes that are scored at most at each length, evenly over the text; one window at least. */
  readonly maxBytes: number;
  /** Of what a mechanism draws. */
  readonly seed: number;
  readonly onProgress?: ((what: string) => void) | undefined;
}

/** One mechanism in the trained model, at one length. */
export interface SwapRow {
  /** The mechanism with its given options, such as `sliding-window:radius=64`. */
  readonly name: string;
  readonly mechanism: string;
  readonly family: string;
  readonly exactness: Exactness;
  readonly summary: string;
  /** Whether it is what the model was trained with. */
  readonly trained: boolean;
  readonly length: number;
  readonly bitsPerByte: number;
  /** Bits per byte above those of the trained attention on the same windows. */
  readonly change: number;
  /** Standard error of the change over the windows, taken for independent; null of a single one. */
  readonly changeError: number | null;
  /** `2 ** bitsPerByte`. */
  readonly perplexityPerByte: number;
  /** Whole model, forward. */
  readonly tokensPerSecond: number;
  readonly windows: number;
  readonly tokens: number;
  /** Parameters that the mechanism brought, drawn from the seed, and those of the model that it has no use for. */
  readonly drawn: readonly string[];
  readonly unused: readonly string[];
}

/** A mechanism that cannot be swapped in, at any length (null) or at one. */
export interface Refusal {
  readonly name: string;
  readonly length: number | null;
  readonly why: string;
}

export interface PerplexityComparison {
  readonly config: ModelConfig;
  readonly parameters: number;
  readonly bytesPerToken: number;
  readonly textBytes: number;
  readonly seed: number;
  readonly lengths: readonly number[];
  /** By rising length, the best first. */
  readonly rows: readonly SwapRow[];
  readonly refused: readonly Refusal[];
  readonly machine: Machine;
}

/** The core set and more, with options that leave pairs out at a model's length; it names also what cannot be swapped in. */
export function swapSet(length: number): Variant[] {
  const part = (share: number): number => Math.max(1, Math.floor(length / share));
  const reaches: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>> = {
    'sliding-window': [{ radius: part(4) }, { radius: part(16) }, { radius: part(64) }],
    longformer: [{ radius: part(16) }],
  };
  const core = coreSet().flatMap((one) => (reaches[one.name] ?? [{}]).map((options) => variant(one, options)));
  const local = variant(find('local-1d'), { blockSize: part(8) });
  return [...core, local, ...['memory-compressed', 'synthesizer'].map((name) => variant(find(name)))];
}

/**
 * What it costs a trained model to attend by another mechanism without being trained again: bits per byte of each on the same windows
 * of a text, side by side, and the change against the trained attention.
 *
 * @throws OptionError for lengths that the text or the model does not have, all at once.
 */
export async function comparePerplexity(
  device: Device,
  trained: { readonly model: LanguageModel; readonly config: ModelConfig },
  source: TokenSource,
  { variants, lengths: asked, maxBytes, seed, onProgress }: ComparePerplexityOptions,
): Promise<PerplexityComparison> {
  const { config, model } = trained;
  const lengths = [...new Set(asked)].sort((a, b) => a - b);
  const maxTokens = Math.floor(maxBytes / source.bytesPerToken);
  const windows = lengths.map((length): WindowOptions => ({
    length,
    mode: 'separate',
    maxTokens: Math.max(length, maxTokens),
  }));
  refuseBadInput(config, source, windows);
  const own = {
    ...variant(find(config.mechanism.name), config.mechanism.options),
    ...(config.pattern && { name: mechanismNames(config) }),
  };
  const all = [own, ...variants.filter(({ name }) => name !== own.name)];
  const found: Scored[] = [];
  const refused: Refusal[] = [];
  for (const [i, one] of all.entries()) {
    const say = (length: number): void => onProgress?.(`${one.name} (${i + 1} of ${all.length}), length ${length}`);
    const swapped = one === own ? { model, drawn: [], unused: [] } : swappedIn(device, trained, one, seed);
    if ('why' in swapped) {
      refused.push(swapped);
      continue;
    }
    try {
      for (const window of windows) {
        say(window.length);
        const scored = await score(device, source, window, { ...swapped, variant: one }).catch((error: unknown) => {
          // without the trained attention there is nothing to compare with
          if (one === own) throw error;
          return { name: one.name, length: window.length, why: reasonOf(error, one.mechanism.name) };
        });
        if ('why' in scored) refused.push(scored);
        else found.push(scored);
      }
    } finally {
      if (one !== own) swapped.model.dispose();
    }
  }
  const base = (length: number): Scored => found.find((one) => one.variant === own && one.length === length)!;
  const rows = found.map((one) => rowOf(one, base(one.length), source.bytesPerToken));
  return {
    config,
    parameters: [...model.stateDict().values()].reduce((sum, { size }) => sum + size, 0),
    bytesPerToken: source.bytesPerToken,
    textBytes: Math.round(source.size * source.bytesPerToken),
    seed,
    lengths,
    rows: rows.sort((a, b) => a.length - b.length || a.bitsPerByte - b.bitsPerByte),
    refused,
    machine: machine(device),
  };
}

function refuseBadInput(config: ModelConfig, source: TokenSource, windows: readonly WindowOptions[]): void {
  const reasons = windows.flatMap((window) => {
    try {
      windowsOf(source, window);
      return [];
    } catch (error) {
      return [reasonOf(error)];
    }
  });
  const beyond = windows.filter(({ length }) => length > config.length);
  if (config.position.method === 'learned' && beyond.length > 0) {
    reasons.push(`the model learned ${config.length} positions; take lengths of at most that`);
  }
  if (windows.length === 0) reasons.push('at least one length');
  if (reasons.length > 0) throw new OptionError(`compare: ${[...new Set(reasons)].join('; ')}.`);
}

/** The model with a mechanism in place of its own, or why there is none. */
function swappedIn(
  device: Device,
  trained: { readonly model: LanguageModel; readonly config: ModelConfig },
  { name, mechanism, options: settings }: Variant,
  seed: number,
): Swapped | Refusal {
  if (mechanism.definition.supports.causal === false) {
    return { name, length: null, why: 'no causal form, so it would read the byte it is to predict' };
  }
  try {
    return swapMechanism(trained.model, trained.config, { device, mechanism, settings, seed });
  } catch (error) {
    return { name, length: null, why: reasonOf(error, mechanism.name) };
  }
}

interface Player extends Pick<Swapped, 'model' | 'drawn' | 'unused'> {
  readonly variant: Variant;
}

interface Scored extends Player {
  readonly length: number;
  readonly found: Perplexity;
  /** Nats of each window. */
  readonly sums: readonly number[];
}

async function score(device: Device, source: TokenSource, window: WindowOptions, player: Player): Promise<Scored> {
  const { length } = window;
  const sums: number[] = [];
  const onWindow = (losses: ArrayLike<number>): void => {
    let sum = 0;
    for (let i = 0; i < losses.length; i++) sum += losses[i]!;
    sums.push(sum);
  };
  const common = { device, source, model: player.model };
  // kernels are compiled before they are timed
  await perplexity({ ...common, ...window, maxTokens: length });
  const found = await perplexity({ ...common, ...window, onWindow });
  return { ...player, length, found, sums };
}

function rowOf(
  { variant: { name, mechanism }, length, found, sums, drawn, unused }: Scored,
  base: Scored,
  bytesPerToken: number,
): SwapRow {
  const { family, exactness, summary } = mechanism.definition;
  const { bitsPerByte, perplexityPerByte, windows, tokens, seconds } = found;
  const change = found.natsPerToken - base.found.natsPerToken;
  // all windows score equally many tokens
  const squares = sums.reduce((total, sum, i) => total + (sum - base.sums[i]! - length * change) ** 2, 0);
  const bits = 1 / Math.LN2 / bytesPerToken;
  return {
    name,
    mechanism: mechanism.name,
    family,
    exactness,
    summary,
    trained: found === base.found,
    length,
    bitsPerByte,
    change: change * bits,
    changeError: windows > 1 ? (bits * Math.sqrt((squares * windows) / (windows - 1))) / tokens : null,
    perplexityPerByte,
    tokensPerSecond: tokens / seconds,
    windows,
    tokens,
    drawn,
    unused,
  };
}

/** What a mechanism, a model or a text says against it; anything else is thrown on. */
function reasonOf(error: unknown, mechanism = 'perplexity'): string {
  const known = [OptionError, CapabilityError, ShapeError, OutOfMemoryError, NumericsError];
  if (!known.some((kind) => error instanceof kind)) throw error;
  // the row says which mechanism and which sizes
  const [, reason] = /^(.*?)(?: \(q=[^()]*\))?\.?$/.exec((error as Error).message)!;
  return reason!.replace(/^(model configuration|perplexity): /, '').replace(`${mechanism}: `, '');
}
