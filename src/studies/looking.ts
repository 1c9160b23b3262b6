import type { Device } from '../devices/index.js';
import { CapabilityError, OptionError, ShapeError } from '../core/errors.js';
import { OneHead } from './chosen.js';
import { prefixOf } from './compare-scene.js';
import { callOf, type Variant } from './mechanisms.js';
import type { Problem } from './reference.js';

/** Where one byte of a text looks. */
export interface Look {
  readonly name: string;
  /** Of the first head. */
  readonly weights: readonly number[];
}

/** Where a byte of a text looks by each mechanism: `text` in stretches of equal length, the byte being in the one that `query` names. */
export interface Looking {
  readonly causal: boolean;
  readonly text: string;
  readonly query: number;
  readonly stretch: number;
  readonly looks: readonly Look[];
}

/** Bytes that are shown, and those of a stretch. */
const [SHOWN, STRETCH] = [1024, 4];

/** The weights of a byte by each mechanism that compares tokens, at the beginning of a text. */
export async function looking(
  device: Device,
  bytes: Uint8Array,
  problem: Problem,
  variants: readonly Variant[],
  { causal, seed }: { readonly causal: boolean; readonly seed: number },
): Promise<Looking | undefined> {
  const length = Math.floor(Math.min(SHOWN, problem.length) / STRETCH) * STRETCH;
  if (length === 0) return undefined;
  const part = firstHead(prefixOf(problem, length));
  // most keys that a causal query sees lie before it, and some are left behind it
  const query = Math.floor(0.7 * length);
  const looks: Look[] = [];
  for (const variant of variants) {
    if (variant.mechanism.definition.level === 'mixer') continue;
    try {
      const head = new OneHead(device, variant.mechanism, callOf(variant, { causal, seed }), part);
      looks.push({ name: variant.name, weights: [...(await head.weights(query, length / STRETCH))] });
    } catch (error) {
      // one that does not take this length is not drawn; its row says why at the lengths that were asked for
      if (![OptionError, CapabilityError, ShapeError].some((kind) => error instanceof kind)) throw error;
    }
  }
  return { causal, text: characters(bytes.subarray(0, length)), query, stretch: STRETCH, looks };
}

function firstHead({ length, headDim, q, k, v }: Problem): Problem {
  const own = (x: Float32Array): Float32Array => x.subarray(0, length * headDim);
  return { heads: 1, length, headDim, q: own(q), k: own(k), v: own(v) };
}

/** One character for each byte, so that places in a text are places of bytes. */
export const characters = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => (byte > 32 && byte < 127 ? String.fromCharCode(byte) : byte > 127 ? '·' : ' ')).join('');
