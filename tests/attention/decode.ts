import type { AnyOptions, DecoderOptions, Mechanism } from '../../src/attention/index.js';
import type { Device } from '../../src/devices/device.js';
import { scope, tensor, type Tensor } from '../../src/tensor/index.js';
import type { AttendProblem } from '../oracles/attend.js';
import { normal } from '../support/random.js';

export const sizes = { B: 2, H: 4, G: 2, L: 41, S: 41, D: 8, E: 6 } as const;

export type Sequence = Pick<AttendProblem, 'B' | 'H' | 'G' | 'L' | 'S' | 'D' | 'E'> &
  Readonly<Record<'q' | 'k' | 'v', Float32Array>>;

export function sequence(seed: number, shape: typeof sizes | Omit<Sequence, 'q' | 'k' | 'v'> = sizes): Sequence {
  const { B, H, G, L, S, D, E } = shape;
  return {
    ...shape,
    q: normal(seed, B * H * L * D),
    k: normal(seed + 1, B * G * S * D),
    v: normal(seed + 2, B * G * S * E),
  };
}

/** Tokens `from … to − 1` of `[heads, length, columns]`. */
export function tokens(x: Float32Array, length: number, columns: number, from: number, to: number): Float32Array {
  return x.filter((_, n) => {
    const row = Math.floor(n / columns) % length;
    return row >= from && row < to;
  });
}

/** Ways to cut tokens into steps: one by one, stretches of odd sizes, a long prefill, all at once. */
export const cuts = (length: number): readonly (readonly number[])[] => [
  Array.from({ length }, () => 1),
  [5, 1, 1, 9, 3, 1, 13, length],
  [length - 4, 1, 1, length],
  [length],
];

export interface Decoded {
  readonly out: Float32Array;
  /** Bytes on the device after each step, and the most within it above what was there before, without inputs and outputs. */
  readonly live: readonly number[];
  readonly peaks: readonly number[];
}

/** Runs a sequence through a decoder in steps of the given sizes, the last of which is cut to what is left. */
export async function decode(
  device: Device,
  mechanism: Mechanism,
  options: DecoderOptions & AnyOptions,
  data: Sequence,
  steps: readonly number[],
  change: (x: Tensor, name: 'q' | 'k' | 'v', start: number) => Tensor = (x) => x,
): Promise<Decoded> {
  const { B, H, G, L, D, E } = data;
  const decoder = mechanism.decoder(options);
  const out = new Float32Array(B * H * L * E);
  const [live, peaks]: [number[], number[]] = [[], []];
  try {
    let start = 0;
    for (const step of steps) {
      const end = Math.min(L, start + step);
      const make = (name: 'q' | 'k' | 'v', heads: number, columns: number): Tensor => {
        const part = tokens(data[name], L, columns, start, end);
        return scope(() => change(tensor(part, [B, heads, end - start, columns], { device }), name, start));
      };
      const numbers = await scope(async () => {
        const [q, k, v] = [make('q', H, D), make('k', G, D), make('v', G, E)];
        const before = device.ledger.mark();
        const { out: rows, logsumexp } = decoder.step(q, k, v);
        peaks.push(device.ledger.peak - before);
        logsumexp?.dispose();
        return rows.data();
      });
      live.push(device.ledger.live());
      for (let head = 0; head < B * H; head++) {
        const rows = numbers.subarray(head * (end - start) * E, (head + 1) * (end - start) * E);
        out.set(rows, (head * L + start) * E);
      }
      start = end;
      if (start === L) break;
    }
  } finally {
    decoder.dispose();
  }
  return { out, live, peaks };
}
