import { OptionError } from '../core/errors.js';
import { show } from '../core/shape.js';
import { internals, type Tensor } from './tensor.js';

/**
 * For what is computed again in a backward pass, with leaves of its own in place of its inputs.
 *
 * @throws OptionError where the outputs depend on another leaf: it would get no gradient.
 */
export function checkLeaves(who: string, outputs: readonly Tensor[], leaves: readonly Tensor[]): void {
  const known = new Set(leaves.map((leaf) => leaf[internals].track));
  const seen = new Set<unknown>();
  const pending = outputs.map((output) => ({ track: output[internals].track, shape: output.shape }));
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { track, shape } = next;
    if (track === undefined || known.has(track) || seen.has(track.entry)) continue;
    if (track.entry === undefined) {
      throw new OptionError(
        `${who}: what it computes depends on ${track.name?.() ?? 'a tensor'} ${show(shape)} that requires gradients and is not among its inputs, so that ` +
          'its gradient would be lost; pass it as an input, or name the module whose parameter it is.',
      );
    }
    seen.add(track.entry);
    pending.push(...track.entry.inputs);
  }
}
