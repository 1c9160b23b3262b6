import { OptionError } from '../core/errors.js';
import type { Mixer } from '../nn/index.js';

/** What a layer does to the number of rows. */
export interface RowChange extends Pick<Mixer, 'resize' | 'restores'> {
  /** Whether its rows are those of two each. */
  readonly pools?: boolean;
  /** Whether the rows that were pooled before it stand again. */
  readonly unpools?: boolean;
}

/**
 * Rows that each layer is given, before it gives pooled ones back, and at the end those that the last one gives.
 *
 * @throws OptionError for a layer that gives rows back where no layer before gave fewer, or where it is given others than it takes.
 */
export function rowCounts(layers: readonly RowChange[], rows: number): number[] {
  const counts = [rows];
  const earlier: { readonly rows: number; readonly pools: boolean }[] = [];
  layers.forEach(({ resize, restores, pools = false, unpools = false }, layer) => {
    const last = counts.at(-1)!;
    if (resize) earlier.push({ rows: last, pools });
    if (unpools && (earlier.length === 0 || earlier.some((one) => !one.pools))) {
      throw new OptionError(
        `layer ${layer}: pooling "restore" gives back the rows that layers before pooled, and no others; put a layer with pooling "mean" before it.`,
      );
    }
    if (restores !== undefined && earlier.length === 0) {
      throw new OptionError(
        `layer ${layer}: gives back the rows of a layer before that gave fewer, and there is none; put one before it, such as token-learner.`,
      );
    }
    if (typeof restores === 'number' && restores !== last) {
      throw new OptionError(`layer ${layer}: takes ${restores} rows; the layers before give ${last}.`);
    }
    if (unpools) counts.push(earlier.splice(0)[0]!.rows);
    else counts.push(restores === undefined ? (resize?.(last) ?? last) : earlier.pop()!.rows);
  });
  return counts;
}
