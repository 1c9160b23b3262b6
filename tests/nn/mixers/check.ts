import type { Mixer, MixerKind, MixerSizes } from '../../../src/nn/index.js';
import type { Device } from '../../../src/devices/index.js';
import { add } from '../../../src/ops/index.js';
import { tensor, type Tensor } from '../../../src/tensor/index.js';
import { withoutPadding } from '../../../src/attention/patterns/without-padding.js';
import type { Graph, Matrix } from '../../oracles/graph.js';
import { checkModule } from '../check.js';

export const sizes: MixerSizes = { features: 5, heads: 1, headDim: 5, length: 7, causal: false };

/** The rows of a mixer's outcome; every mixer of this package gives one. */
export const streamOf = (mixer: Mixer, x: Tensor, context: Parameters<Mixer['forward']>[1] = {}): Tensor =>
  (mixer.forward(x, context) as { stream: Tensor }).stream;

/** Zeros in real rows and NaN in others, `[B, rows, 1]`. */
const poison = (device: Device, lengths: readonly number[], rows: number): Tensor =>
  tensor(
    Float32Array.from({ length: lengths.length * rows }, (_, i) =>
      i % rows < lengths[Math.floor(i / rows)]! ? 0 : NaN,
    ),
    [lengths.length, rows, 1],
    { device },
  );

/**
 * A mixer against its formula of one sequence's real rows, values and all gradients: sequences of the full length, of one row, shorter than the
 * layer is made for, and with NaN in the padding.
 */
export async function checkMixer(
  device: Device,
  kind: MixerKind,
  options: Readonly<Record<string, unknown>>,
  formula: (g: Graph, x: Matrix, parameter: (name: string) => Matrix, rows: number) => Matrix,
): Promise<void> {
  const { features, length } = sizes;
  const cases: readonly (readonly [rows: number, lengths: readonly number[] | undefined])[] = [
    [length, undefined],
    [1, undefined],
    [length - 2, [length - 2, 3]],
  ];
  for (const [rows, lengths] of cases) {
    await checkModule(device, {
      name: `${kind.name}, ${rows} rows`,
      module: kind.create(sizes, options),
      shape: [2, rows, features],
      run: (mixer: Mixer, x) => {
        if (lengths === undefined) return streamOf(mixer, x);
        return streamOf(mixer, add(x, poison(device, lengths, rows)), { lengths });
      },
      oracle: (g, x, parameter) =>
        g.concatRows(
          [0, 1].map((b) => formula(g, g.rows(x, b * rows, b * rows + (lengths?.[b] ?? rows)), parameter, rows)),
        ),
    });
  }
}

/** As `checkMixer`, for mixers whose rows after the real ones may be anything; `formula` is of the real rows and gives those. */
export async function checkRealRows(
  device: Device,
  kind: MixerKind,
  options: Readonly<Record<string, unknown>>,
  formula: (g: Graph, x: Matrix, parameter: (name: string) => Matrix) => Matrix,
  given: Partial<MixerSizes> & { readonly rows?: readonly number[] } = {},
): Promise<void> {
  const { rows: counts = [sizes.length, 1], ...own } = given;
  const all = { ...sizes, ...own };
  const [most] = counts as readonly [number];
  const cases = [...counts.map((rows) => [rows, [rows, rows]] as const), [most, [most, most - 3]] as const];
  for (const [rows, lengths] of cases) {
    const module = kind.create(all, options);
    const kept = lengths.map((length) => module.resize?.(length) ?? length);
    const width = module.resize?.(rows) ?? rows;
    await checkModule(device, {
      name: `${kind.name}, lengths ${lengths.join()}`,
      module,
      shape: [2, rows, all.features],
      run: (mixer: Mixer, x) =>
        withoutPadding(streamOf(mixer, add(x, poison(device, lengths, rows)), { lengths }), kept),
      oracle: (g, x, parameter) =>
        g.concatRows(
          [0, 1].flatMap((b) => {
            const real = formula(g, g.rows(x, b * rows, b * rows + lengths[b]!), parameter);
            const missing = width - real.rows;
            return missing === 0
              ? [real]
              : [real, g.constant(new Float64Array(missing * all.features), missing, all.features)];
          }),
        ),
    });
  }
}
