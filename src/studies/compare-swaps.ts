import { mechanism as find } from '../attention/index.js';
import { CapabilityError, NumericsError, OptionError, OutOfMemoryError, ShapeError } from '../core/errors.js';
import type { TokenSource } from '../data/index.js';
import type { Device } from '../devices/index.js';
import { mechanismNames } from '../models/config-layers.js';
import { seesBothSides } from '../models/create.js';
import type { LanguageModel, ModelConfig } from '../models/index.js';
import { adapt } from './adapt.js';
import { machine } from './machine.js';
import { coreSet, type Variant, variant } from './mechanisms.js';
import { type Swapped, swapMechanism, withConfig } from './swap.js';
import type { Refusal, SwapComparison, SwapCost, SwapRow } from './swap-row.js';
import { batchesOf, changeOf, type Score, score, type Scoring } from './swap-score.js';
import { windowsOf, type WindowOptions } from './windows.js';

export interface CompareSwapsOptions {
  /** Swapped in one after the other; the trained attention runs in any case. */
  readonly variants: readonly Variant[];
  /** Tokens that the model sees at a time. */
  readonly lengths: readonly number[];
  /** Bytes that are scored at most at each length, evenly over the text; one window at least. */
  readonly maxBytes: number;
  /** Of what a mechanism draws. */
  readonly seed: number;
  /** What is hidden from an encoder, as it was trained. */
  readonly masking?: Scoring['masking'];
  /** Steps of training of each, the trained attention too, on a text of its own; then all are scored again. */
  readonly adapt?: { readonly steps: number; readonly source: TokenSource } | undefined;
  /** Seconds after which nothing more is begun that might take longer, going by the trained attention, which runs in any case. */
  readonly seconds?: number | undefined;
  readonly onProgress?: ((what: string) => void) | undefined;
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

/** A trained model and what it is. */
export interface Trained {
  readonly model: LanguageModel;
  readonly config: ModelConfig;
}

/**
 * What it costs a trained model to attend by another mechanism: bits per byte of each on the same windows of a text, side by side, and the
 * change against the trained attention; without being trained again and, where asked, after steps in which attention alone is trained.
 *
 * @throws OptionError for lengths that the text or the model does not have, all at once.
 */
export async function compareSwaps(
  device: Device,
  trained: Trained,
  source: TokenSource,
  options: CompareSwapsOptions,
): Promise<SwapComparison> {
  const { variants, seed, masking, adapt: adapting, seconds = Infinity, onProgress } = options;
  const { config, model } = trained;
  const windows = windowsAt(source, options);
  refuseBadInput(config, source, windows);
  const own = {
    ...variant(find(config.mechanism.name), config.mechanism.options),
    ...(config.pattern && { name: mechanismNames(config) }),
  };
  const all = [own, ...variants.filter(({ name }) => name !== own.name)];
  const found: Scored[] = [];
  const refused: Refusal[] = [];
  const scoring: Scoring = { device, config, source, seed, masking };
  const clock = new TimeLeft(seconds);
  for (const [i, one] of all.entries()) {
    const refuse = (length: number | null, error: unknown): void => {
      // without the trained attention there is nothing to compare with
      if (one === own) throw error;
      refused.push({ name: one.name, length, why: reasonOf(error, one.mechanism.name) });
    };
    if (one !== own && !clock.allows()) {
      refuse(null, new OptionError('there was no time left; --seconds allows more'));
      continue;
    }
    const say = (what: string): void => onProgress?.(`${one.name} (${i + 1} of ${all.length}), ${what}`);
    const scores = async (one: LanguageModel): Promise<(Score | undefined)[]> => {
      const out: (Score | undefined)[] = [];
      for (const window of windows) {
        say(`length ${window.length}`);
        try {
          out.push(await score(one, scoring, window));
        } catch (error) {
          refuse(window.length, error);
          out.push(undefined);
        }
      }
      return out;
    };
    try {
      const swapped = one === own ? withConfig(model, config, { device, seed }) : swappedIn(device, trained, one, seed);
      try {
        const before = await scores(swapped.model);
        if (adapting) await adaptTo(swapped.model, scoring, adapting, say);
        const after = adapting ? await scores(swapped.model) : [];
        windows.forEach(({ length }, at) => {
          const [first, adapted] = [before[at], after[at]];
          if (first && (adapted || !adapting)) found.push({ ...swapped, variant: one, length, score: first, adapted });
        });
      } finally {
        swapped.model.dispose();
      }
    } catch (error) {
      refuse(null, error);
    }
    clock.lap();
  }
  const base = (length: number): Scored => found.find((one) => one.variant === own && one.length === length)!;
  const rows = found.map((one) => rowOf(one, base(one.length)));
  return {
    config,
    masked: seesBothSides(config),
    parameters: [...model.stateDict().values()].reduce((sum, { size }) => sum + size, 0),
    bytesPerToken: source.bytesPerToken,
    textBytes: Math.round(source.size * source.bytesPerToken),
    seed,
    adaptedSteps: adapting?.steps ?? null,
    lengths: windows.map(({ length }) => length),
    rows: rows.sort((a, b) => a.length - b.length || a.bitsPerByte - b.bitsPerByte),
    refused,
    machine: machine(device),
  };
}

/** Whether there is time for more, going by what took longest so far; the first always runs. */
class TimeLeft {
  readonly #begin = performance.now();
  #last = this.#begin;
  #longest = 0;

  constructor(readonly seconds: number) {}

  lap(): void {
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - this.#last);
    this.#last = now;
  }

  allows(): boolean {
    return performance.now() - this.#begin + this.#longest <= 1000 * this.seconds;
  }
}

/** Windows of each length, once, evenly over the text. */
function windowsAt(source: TokenSource, { lengths, maxBytes }: CompareSwapsOptions): readonly WindowOptions[] {
  const maxTokens = Math.floor(maxBytes / source.bytesPerToken);
  return [...new Set(lengths)]
    .sort((a, b) => a - b)
    .map((length) => ({ length, mode: 'separate', maxTokens: Math.max(length, maxTokens) }));
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

/** The model with a mechanism in place of its own. @throws CapabilityError for one that would see too much, or too little. */
function swappedIn(
  device: Device,
  { model, config }: Trained,
  { mechanism, options: settings }: Variant,
  seed: number,
): Swapped {
  const { causal } = mechanism.definition.supports;
  if (!seesBothSides(config) && causal === false) {
    throw new CapabilityError('no causal form, so it would read the byte it is to predict');
  }
  if (seesBothSides(config) && causal === 'only') {
    throw new CapabilityError('it sees what is before a byte only, where the model was trained to see both sides');
  }
  return swapMechanism(model, config, { device, mechanism, settings, seed });
}

/** Tokens of a step of adaptation. */
const STEP_TOKENS = 8192;

async function adaptTo(
  model: LanguageModel,
  scoring: Scoring,
  { steps, source }: NonNullable<CompareSwapsOptions['adapt']>,
  say: (what: string) => void,
): Promise<void> {
  const { device, config, seed } = scoring;
  const batchSize = Math.max(1, Math.floor(STEP_TOKENS / config.length));
  const batches = batchesOf({ ...scoring, source }, batchSize);
  await adapt(model, { device, batches, steps, seed, onStep: (step) => say(`adaptation, step ${step} of ${steps}`) });
}

interface Scored extends Pick<Swapped, 'drawn' | 'unused'> {
  readonly variant: Variant;
  readonly length: number;
  readonly score: Score;
  readonly adapted: Score | undefined;
}

function rowOf({ variant: one, length, score: found, adapted, drawn, unused }: Scored, base: Scored): SwapRow {
  const { name, mechanism } = one;
  const { family, exactness, summary } = mechanism.definition;
  const cost = (own: Score, of: Score): SwapCost => ({
    bitsPerByte: own.bitsPerByte,
    ...changeOf(own, of),
    accuracy: own.accuracy,
  });
  return {
    name,
    mechanism: mechanism.name,
    family,
    exactness,
    summary,
    trained: one === base.variant,
    length,
    ...cost(found, base.score),
    adapted: adapted ? cost(adapted, base.adapted!) : null,
    perplexityPerByte: 2 ** found.bitsPerByte,
    tokensPerSecond: found.tokensPerSecond,
    windows: found.windows.length,
    tokens: found.targets,
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
  return reason!.replace(/^(model configuration|perplexity|train|trainer): /, '').replace(`${mechanism}: `, '');
}
