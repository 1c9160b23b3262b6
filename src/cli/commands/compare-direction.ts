import { bytesSource } from '../../data/bytes.js';
import type { TokenSource } from '../../data/index.js';
import type { Device } from '../../devices/index.js';
import type { Direction } from '../../report/choice.js';
import { compare as study } from '../../studies/compare.js';
import { compareSwaps } from '../../studies/compare-swaps.js';
import type { SwapComparison } from '../../studies/swap-row.js';
import { seesBothSides } from '../../models/create.js';
import { maskingFor } from '../../studies/objective.js';
import { openEvaluationText } from '../../studies/evaluate-text.js';
import { looking } from '../../studies/looking.js';
import type { Variant } from '../../studies/mechanisms.js';
import type { TrainedModel } from '../../studies/model-features.js';
import { readModel } from '../../pretrained/open.js';
import { styleFor } from '../ansi.js';
import { roomOfMachine } from '../common-options.js';
import type { Io } from '../io.js';
import { Progress } from '../progress.js';
import type { TextFile } from '../text-file.js';
import { type DirectionPlan, withModel } from './compare-features.js';
import { type CompareValues, SCORED_BESIDE } from './compare-options.js';
import { filesOf } from './compare-perplexity.js';
import { directionClosing, directionHeading, heading, lengthBlock, qualityLine } from './compare-text.js';

/** What the directions of one call have in common. */
export interface Ground {
  readonly text: TextFile;
  /** Whether it is the bundled novel. */
  readonly bundled: boolean;
  readonly lengths: readonly number[];
  /** Something readers must know about the lengths. */
  readonly note: string | undefined;
  /** Whether nothing was said so far. */
  readonly first: boolean;
  readonly values: CompareValues;
  readonly say: (line: string) => void;
  readonly io: Io;
}

/** Share of the time that finding what mechanisms cost a model may take. */
const QUALITY = 0.45;

/** Measures one direction, in `seconds` where they are limited, and says what it finds. */
export async function runDirection(
  device: Device,
  plan: DirectionPlan,
  variants: readonly Variant[],
  seconds: number | undefined,
  ground: Ground,
): Promise<Direction> {
  const { text, lengths, note, first, values, say, io } = ground;
  const { causal, heads, headDim } = plan;
  const { training, seed } = values;
  const style = styleFor(io, io.outTerminal);
  const progress = new Progress(io);
  const begin = performance.now();
  const onProgress = (what: string): void => progress.show(`${causal ? 'causal' : 'all pairs'}: ${what}`);
  try {
    return await withModel(plan.model, device, async (loaded) => {
      onProgress('making queries, keys and values');
      const features = await plan.make(device, text.bytes.subarray(0, Math.max(...lengths)), loaded);
      progress.clear();
      // what cannot be read is told before anything else
      if (first) say(heading(device.info, { document: text.name, size: text.size, training, note }, style));
      say(directionHeading({ causal, heads, headDim, features: features.note }, style));
      const swaps =
        loaded && (await swapped(device, loaded, plan, variants, seconds && QUALITY * seconds, onProgress, ground));
      progress.clear();
      if (swaps) say(qualityLine(swaps, style));
      const comparison = await study(
        device,
        { name: text.name, bytes: text.bytes, features },
        {
          lengths,
          variants,
          causal,
          training,
          seed,
          // what making the features took is free again
          memoryLimit: values.memory === undefined ? roomOfMachine() : values.memory * 1e9,
          seconds: seconds && Math.max(1, seconds - (performance.now() - begin) / 1000),
          onProgress,
          onLength(rows) {
            progress.clear();
            say(lengthBlock(rows, { causal, training, swaps, trainedTo: features.trainedTo ?? null }, style));
          },
        },
      );
      onProgress('looking at the text');
      const looks = await looking(device, text.bytes, features.problem, variants, { causal, seed });
      progress.clear();
      const found = { comparison, swaps, looking: looks };
      say(directionClosing(found, style));
      return found;
    });
  } finally {
    progress.clear();
  }
}

/** What the mechanisms cost the model; undefined where it predicts no bytes, or the text has no window. */
async function swapped(
  device: Device,
  loaded: TrainedModel,
  { model }: DirectionPlan,
  variants: readonly Variant[],
  seconds: number | undefined,
  onProgress: (what: string) => void,
  { text, bundled, values, io }: Ground,
): Promise<SwapComparison | undefined> {
  const { adapt: steps, seed, 'max-bytes': maxBytes = SCORED_BESIDE } = values;
  const { json } = readModel(model!);
  const { config } = loaded;
  // one that was not trained to find hidden bytes has no bits to lose
  if (seesBothSides(config) && maskingFor(json) === undefined) return undefined;
  const opened = bundled ? await openEvaluationText(json, filesOf(undefined, json), io.cwd) : undefined;
  try {
    const [source, rest] = opened ? [opened.source, opened.training] : parted(text, maxBytes, steps !== undefined);
    const length = Math.min(config.length, source.size - 1);
    if (length < 1) return undefined;
    return await compareSwaps(device, loaded, source, {
      // an exact one changes nothing but rounding
      variants: variants.filter(({ mechanism }) => mechanism.definition.exactness !== 'exact'),
      lengths: [length],
      maxBytes,
      seed,
      masking: maskingFor(json),
      adapt: steps === undefined ? undefined : { steps, source: rest! },
      seconds: steps === undefined ? seconds : undefined,
      onProgress,
    });
  } finally {
    opened?.close();
  }
}

/** The first bytes of a text, which are scored; and what follows them, to adapt to. */
function parted(
  { name, bytes }: TextFile,
  scored: number,
  adapts: boolean,
): readonly [TokenSource, TokenSource | undefined] {
  const cut = adapts ? Math.min(scored + 1, Math.floor(bytes.length / 2)) : bytes.length;
  return [bytesSource(name, bytes.subarray(0, cut)), adapts ? bytesSource(name, bytes.subarray(cut)) : undefined];
}
