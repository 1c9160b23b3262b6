import { lengthOf, type Examples } from '../data/labelled/examples.js';
import { RehearsalDevice, type DeviceLike } from '../devices/index.js';
import { createModel, type ModelConfig } from '../models/index.js';
import { noGradient, scope, tensor } from '../tensor/index.js';

/** To how many lengths examples are padded at most. */
const BUCKETS = 8;

export interface Padding {
  /** Lengths to which examples are padded, ascending; undefined: each batch has examples of one length. */
  readonly lengths: readonly number[] | undefined;
  /** Why nothing is padded where lengths differ, in the words of the layer. */
  readonly refused?: string;
}

/**
 * The lengths to which a model lets examples be padded: eighths of its own that its layers take with padding, tried on a device that only
 * counts.
 *
 * @throws what the model throws for its own length without padding.
 */
export function paddingOf(config: ModelConfig, examples: readonly Examples[], like: DeviceLike): Padding {
  const own = examples.flatMap((one) => Array.from(one.labels, (_, i) => lengthOf(one, i)));
  if (new Set(own).size === 1) return { lengths: undefined };
  const device = new RehearsalDevice({ like, countPairs: false });
  const model = createModel(config).initialise({ device, seed: 0 });
  const attempt = (length: number, padded: boolean): string | undefined => {
    try {
      scope(() =>
        noGradient(() => {
          const rows = padded ? 2 : 1;
          const tokens = tensor(new Int32Array(rows * length), [rows, length], { device });
          const targets = tensor(new Int32Array(rows), [rows], { device });
          model.loss({ tokens, targets, ...(padded && { lengths: [length, Math.max(1, length - 1)] }) });
        }),
      );
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  };
  try {
    const longest = own.reduce((most, one) => Math.max(most, one), 0);
    const refused = attempt(config.length, true);
    if (refused !== undefined && attempt(config.length, false) === undefined) return { lengths: undefined, refused };
    const shares = Array.from({ length: BUCKETS }, (_, i) => Math.ceil((config.length * (i + 1)) / BUCKETS));
    const lengths = [...new Set(shares)].filter(
      (length) => length === config.length || attempt(length, true) === undefined,
    );
    // those beyond the first that holds the longest stay empty
    return { lengths: lengths.slice(0, 1 + lengths.findIndex((length) => length >= longest)) };
  } finally {
    model.dispose();
  }
}
