import { OptionError } from '../core/errors.js';
import type { Mixer } from '../nn/index.js';

/**
 * Rows that each layer is given, and at the end those that the last one gives.
 *
 * @throws OptionError for a layer that gives rows back where no layer before gave fewer, or where it is given others than it takes.
 */
export function rowCounts(mixers: readonly Pick<Mixer, 'resize' | 'restores'>[], rows: number): number[] {
  const counts = [rows];
  const earlier: number[] = [];
  mixers.forEach(({ resize, restores }, layer) => {
    const last = counts.at(-1)!;
    if (resize) earlier.push(last);
    if (restores !== undefined && earlier.length === 0) {
      throw new OptionError(
        `layer ${layer}: gives back the rows of a layer before that gave fewer, and there is none; put one before it, such as token-learner.`,
      );
    }
    if (restores !== undefined && restores !== last) {
      throw new OptionError(`layer ${layer}: takes ${restores} rows; the layers before give ${last}.`);
    }
    counts.push(restores === undefined ? (resize?.(last) ?? last) : earlier.pop()!);
  });
  return counts;
}
