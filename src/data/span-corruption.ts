import { OptionError } from '../core/errors.js';
import {
  atLeast,
  checkValue,
  checkValues,
  flag,
  int32From,
  made,
  wholeFrom,
  type Requirements,
} from '../core/requirements.js';
import { Batches } from './batches.js';
import { placePurpose } from './masked-batches.js';
import { masking, maskedOf } from './masking.js';
import { drawSpans, drawsOf } from './spans.js';

/** How much of a text is asked for, and in what pieces. */
export interface Corruption {
  /** Of the tokens of a window, above 0. */
  readonly share: number;
  /** Mean length of the spans, in tokens. */
  readonly span: number;
}

/** As T5 (Raffel et al. 2020, arXiv 1910.10683, section 3.1.4). */
export const CORRUPTION: Corruption = { share: 0.15, span: 3 };
/** What is given, or the default where it is not. */
const corruptionOf = ({ share = CORRUPTION.share, span = CORRUPTION.span }: Partial<Corruption>): Corruption => ({
  share,
  span,
});
export const corruption: Requirements = { share: masking['share']!, span: atLeast(1) };

/** The sizes of what a window becomes. */
export interface SpanPlan {
  /** Tokens of the window. */
  readonly window: number;
  /** Tokens that are asked for, and the spans they are in. */
  readonly asked: number;
  readonly spans: number;
  /** Tokens of what the encoder sees: the rest, and a sentinel for each span. */
  readonly source: number;
  /** Targets: what is asked for, and a sentinel behind each span. */
  readonly targets: number;
  /** Different sentinels: one for each span, and one for the end. */
  readonly sentinels: number;
}

/** Tokens of a window at most. */
const LONGEST = 2 ** 31 - 1;

/** The largest window whose source has at most `length` tokens. @throws OptionError for options out of range, or of which no window is the largest. */
export function spanPlan(length: number, given: Partial<Corruption> = {}): SpanPlan {
  checkValue('spanPlan', 'length', length, int32From(2));
  checkValues('spanPlan', given, corruption);
  const how = corruptionOf(given);
  const fits = (window: number): boolean => planOf(window, how).source <= length;
  if (fits(LONGEST)) {
    throw new OptionError(
      `spanPlan: with share ${how.share} and spans of ${how.span}, a source of ${length} tokens stands for more than ${LONGEST}; take a smaller share.`,
    );
  }
  // the source never gets shorter as the window gets longer
  let [low, high] = [1, LONGEST];
  while (high - low > 1) {
    const middle = low + Math.floor((high - low) / 2);
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return planOf(low, how);
}

function planOf(window: number, { share, span }: Corruption): SpanPlan {
  const asked = maskedOf(window, share);
  const spans = Math.max(1, Math.min(Math.round(asked / span), window - asked + 1));
  return { window, asked, spans, source: window - asked + spans, targets: asked + spans, sentinels: spans + 1 };
}

export interface CorruptOptions extends Corruption {
  /** The first sentinel; the others follow it. */
  readonly sentinel: number;
  readonly seed: number;
  /** Of the window: the same (seed, purpose) asks for the same. */
  readonly purpose: string;
}

/**
 * A window without some of its spans, which are to be told: `source` has sentinel i in the place of span i; `sequence` is sentinel 0, span 0,
 * sentinel 1, span 1, …, and at the end one sentinel more. A decoder is given all of it but the last token, and asked for all but the first.
 */
export function corruptSpans(
  window: Int32Array,
  { share, span, sentinel, seed, purpose }: CorruptOptions,
): { readonly source: Int32Array; readonly sequence: Int32Array } {
  const { asked, spans: count, source: size, targets } = planOf(window.length, { share, span });
  const spans = drawSpans(
    { length: window.length, count: asked, mean: asked / count, apart: 1 },
    drawsOf(seed, purpose),
  );
  const [source, sequence] = [new Int32Array(size), new Int32Array(targets + 1)];
  let [read, written, told] = [0, 0, 0];
  spans.forEach(({ start, length }, i) => {
    source.set(window.subarray(read, start), written);
    written += start - read;
    source[written++] = sequence[told++] = sentinel + i;
    sequence.set(window.subarray(start, start + length), told);
    told += length;
    read = start + length;
  });
  source.set(window.subarray(read), written);
  sequence[told] = sentinel + spans.length;
  return { source, sequence };
}

export interface SpanBatchOptions extends Partial<Corruption> {
  readonly sentinel: number;
  /** Default 0. */
  readonly seed?: number;
  /** Whether a window is asked for the same whenever it comes; default: each of its epochs for something else. */
  readonly fixed?: boolean;
}

type Ints = { readonly data: Int32Array; readonly shape: readonly number[] };

/** Corrupted windows of a text: what a trainer of an encoder–decoder takes as its batches. */
export interface SpanBatches {
  readonly batchSize: number;
  /** Targets of a row. */
  readonly length: number;
  readonly windows: number;
  batch(step: number): {
    readonly inputs: Readonly<Record<'source' | 'tokens' | 'targets', Ints>>;
    readonly counted: number;
  };
  startsAnew(step: number): boolean;
}

/**
 * The windows of `batches`, which are as long as `spanPlan` says, with spans to be told: `source [B, S]`, `tokens` and `targets [B, T]`. As with
 * `maskedBatches`, all follows from the seed and the step.
 *
 * @throws OptionError for options out of range.
 */
export function spanBatches(batches: Batches, options: SpanBatchOptions): SpanBatches {
  const who = 'spanBatches';
  checkValue(who, 'batches', batches, made('windows of a text, as Batches makes them', Batches));
  const beside = { sentinel: int32From(1), seed: wholeFrom(0), fixed: flag };
  checkValues(who, options, { ...corruption, ...beside }, ['sentinel']);
  const { sentinel, seed = 0, fixed = false, ...given } = options;
  const how = corruptionOf(given);
  const { batchSize: B, length: L, windows } = batches;
  if (L < 2) throw new OptionError(`${who}: windows must have two tokens at least; got ${L}.`);
  const { source: S, targets: T } = planOf(L, how);
  return {
    batchSize: B,
    length: T,
    windows,
    startsAnew: (step) => batches.startsAnew(step),
    batch(step) {
      const rows = batches.batch(step);
      const starts = fixed ? batches.starts(step) : [];
      const ints = (columns: number): Ints => ({ data: new Int32Array(B * columns), shape: [B, columns] });
      const inputs = { source: ints(S), tokens: ints(T), targets: ints(T) };
      for (let row = 0; row < B; row++) {
        const window = rows.subarray(row * (L + 1), row * (L + 1) + L);
        const purpose = fixed ? placePurpose(starts[row]!) : `data.spans.${step * B + row}`;
        const { source, sequence } = corruptSpans(window, { ...how, sentinel, seed, purpose });
        inputs.source.data.set(source, row * S);
        inputs.tokens.data.set(sequence.subarray(0, T), row * T);
        inputs.targets.data.set(sequence.subarray(1), row * T);
      }
      return { inputs, counted: B * T };
    },
  };
}
