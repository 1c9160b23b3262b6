import { OptionError } from '../core/errors.js';
import { checkValue, checkValues, flag, int32From, made, wholeFrom } from '../core/requirements.js';
import { Batches } from './batches.js';
import {
  faultsOfMasking,
  maskedOf,
  masking,
  maskingOf,
  maskTokens,
  type MaskOptions,
  type Masking,
} from './masking.js';
import { NOTHING_ASKED } from './tasks/task.js';

/** Numbers of a batch by name; `counted` is how many targets there are. */
export interface MaskedBatch {
  readonly inputs: Readonly<
    Record<'tokens' | 'places' | 'targets', { readonly data: Int32Array; readonly shape: readonly number[] }>
  >;
  readonly counted: number;
}

export interface MaskedBatchOptions extends Partial<Masking> {
  /** Tokens that are predicted, `0 … outputs − 1`; the mask token is `outputs`. */
  readonly outputs: number;
  /** Default 0. */
  readonly seed?: number;
  /**
   * Whether a window hides the same whenever it comes, as for validation; default: each of its epochs hides something else.
   */
  readonly fixed?: boolean;
}

/** Windows of a text with something hidden: what a trainer takes as its batches. */
export interface MaskedBatches {
  readonly batchSize: number;
  /** Targets of a row. */
  readonly length: number;
  readonly windows: number;
  batch(step: number): MaskedBatch;
  startsAnew(step: number): boolean;
}

/**
 * The windows of `batches` with `round(share · L)` tokens of each hidden, which are the targets: inputs `tokens [B, L]`, and `places` and
 * `targets [B, N]`. What is hidden follows from the seed and the number of the window in the sequence of training, or where `fixed`, from the
 * seed and its place in the text: nothing has to be saved to continue with the same batches.
 *
 * @throws OptionError for options out of range.
 */
export function maskedBatches(batches: Batches, options: MaskedBatchOptions): MaskedBatches {
  const who = 'maskedBatches';
  checkValue(who, 'batches', batches, made('windows of a text, as Batches makes them', Batches));
  const beside = { outputs: int32From(1), seed: wholeFrom(0), fixed: flag };
  checkValues(who, options, { ...masking, ...beside }, ['outputs']);
  const { outputs, seed = 0, fixed = false, ...given } = options;
  const how = maskingOf(given);
  const faults = faultsOfMasking(how);
  if (faults.length > 0) throw new OptionError(`${who}: ${faults.join('; ')}.`);
  const { batchSize: B, length: L, windows } = batches;
  return {
    batchSize: B,
    length: maskedOf(L, how.share),
    windows,
    startsAnew: (step) => batches.startsAnew(step),
    batch(step) {
      const rows = batches.batch(step);
      const starts = fixed ? batches.starts(step) : [];
      const own = Array.from({ length: B }, (_, row) => ({
        window: rows.subarray(row * (L + 1), row * (L + 1) + L),
        purpose: fixed ? placePurpose(starts[row]!) : `data.mask.${step * B + row}`,
      }));
      return maskedBatch(own, { ...how, outputs, seed });
    },
  };
}

/** What draws the mask of a window by its place in the text. */
export const placePurpose = (start: number): string => `data.mask.at.${start}`;

/** Windows of one length with something hidden of each, side by side. */
export function maskedBatch(
  rows: readonly { readonly window: Int32Array; readonly purpose: string }[],
  options: Omit<MaskOptions, 'purpose'>,
): MaskedBatch {
  const masked = rows.map(({ window, purpose }) => maskTokens(window, { ...options, purpose }));
  const joined = (name: 'tokens' | 'places' | 'targets') => {
    const columns = masked[0]![name].length;
    const data = new Int32Array(rows.length * columns);
    masked.forEach((one, row) => data.set(one[name], row * columns));
    return { data, shape: [rows.length, columns] };
  };
  const inputs = { tokens: joined('tokens'), places: joined('places'), targets: joined('targets') };
  const counted = inputs.targets.data.reduce((sum, target) => sum + Number(target !== NOTHING_ASKED), 0);
  return { inputs, counted };
}
