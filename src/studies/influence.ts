import { normal } from '../core/random.js';
import type { Device } from '../devices/index.js';
import type { MixerKind, MixerSizes } from '../nn/index.js';
import { disposeAll, noGradient, scope, tensor, type Tensor } from '../tensor/index.js';

/** How far a row is moved, where rows are N(0, I). */
const STEP = 0.1;

export interface Influence {
  readonly rows: number;
  readonly columns: number;
  /** Row i, column j: how far row i of the result moves where row j of x does, as a root mean square. */
  readonly values: Float64Array;
}

/**
 * How the rows of a mixer's result depend on rows of x, before training: each row is moved by itself, all in one batch. A mixer that gives
 * rows back is given them as they were, and the tokens move.
 */
export async function influence(
  device: Device,
  kind: MixerKind,
  sizes: MixerSizes,
  options: Readonly<Record<string, unknown>>,
  seed: number,
): Promise<Influence> {
  const { features, length } = sizes;
  const mixer = kind.create(sizes, options).initialise({ device, seed });
  try {
    const rows = typeof mixer.restores === 'number' ? mixer.restores : length;
    // the last of the batch is moved nowhere
    const batch = rows + 1;
    const x = repeated(normal(seed, 'influence x', rows * features), batch);
    const move = normal(seed, 'influence move', rows * features);
    for (let j = 0; j < rows; j++) {
      const from = (j * rows + j) * features;
      for (let f = 0; f < features; f++) x[from + f]! += STEP * move[j * features + f]!;
    }
    const make = (data: Float32Array, n: number): Tensor => tensor(data, [batch, n, features], { device });
    const out = scope(() =>
      noGradient(() => {
        const earlier = () => make(repeated(normal(seed, 'influence earlier', length * features), batch), length);
        const given = mixer.restores === undefined ? {} : { earlier: earlier() };
        return mixer.forward(make(x, rows), given);
      }),
    );
    const { stream } = out as { readonly stream: Tensor };
    const data = await stream.data();
    const given = stream.shape[1]!;
    disposeAll(out);
    const at = (b: number, i: number, f: number): number => data[(b * given + i) * features + f]!;
    const values = Float64Array.from({ length: given * rows }, (_, place) => {
      const [i, j] = [Math.floor(place / rows), place % rows];
      let sum = 0;
      for (let f = 0; f < features; f++) sum += (at(j, i, f) - at(rows, i, f)) ** 2;
      return Math.sqrt(sum / features) / STEP;
    });
    return { rows: given, columns: rows, values };
  } finally {
    mixer.dispose();
  }
}

function repeated(data: Float32Array, times: number): Float32Array {
  const all = new Float32Array(data.length * times);
  for (let t = 0; t < times; t++) all.set(data, t * data.length);
  return all;
}
