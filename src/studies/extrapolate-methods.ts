import { OptionError } from '../core/errors.js';
import { unknown } from '../core/names.js';
import type { PositionOptions } from '../nn/index.js';

/** A way to know positions, in training and beyond its length. */
export interface ExtrapolationMethod {
  readonly name: string;
  readonly label: string;
  /** What the model is trained with; methods with equal training share one model. */
  readonly trained: Exclude<PositionOptions['method'], 'transformer-xl'>;
  /** What it is evaluated with at `factor` times the trained length; null where that is not defined. */
  readonly evaluated: (factor: number, length: number) => PositionOptions | null;
  /** Whether a learned table is repeated as often as the length wants. */
  readonly tiled?: true;
}

const plain = (method: 'none' | 'sinusoidal' | 'alibi'): Pick<ExtrapolationMethod, 'trained' | 'evaluated'> => ({
  trained: method,
  evaluated: () => ({ method }),
});

/** All, in the order in which they are drawn. */
export const extrapolationMethods: readonly ExtrapolationMethod[] = [
  { name: 'sinusoidal', label: 'sinusoidal', ...plain('sinusoidal') },
  {
    name: 'learned',
    label: 'learned',
    trained: 'learned',
    // the table ends with the trained length
    evaluated: (factor) => (factor <= 1 ? { method: 'learned' } : null),
  },
  {
    name: 'learned-tiled',
    label: 'learned, table repeated',
    trained: 'learned',
    evaluated: () => ({ method: 'learned' }),
    tiled: true,
  },
  { name: 'rope', label: 'RoPE', trained: 'rope', evaluated: () => ({ method: 'rope' }) },
  {
    name: 'rope-linear',
    label: 'RoPE, interpolated',
    trained: 'rope',
    evaluated: (factor) => ({ method: 'rope', scaling: { type: 'linear', factor: Math.max(1, factor) } }),
  },
  {
    name: 'rope-ntk',
    label: 'RoPE, NTK',
    trained: 'rope',
    evaluated: (factor) => ({ method: 'rope', scaling: { type: 'ntk', factor: Math.max(1, factor) } }),
  },
  {
    name: 'rope-dynamic',
    label: 'RoPE, dynamic NTK',
    trained: 'rope',
    evaluated: (factor, originalLength) => ({
      method: 'rope',
      scaling: { type: 'dynamic', factor: Math.max(1, factor), originalLength },
    }),
  },
  {
    name: 'rope-yarn',
    label: 'RoPE, YaRN',
    trained: 'rope',
    evaluated: (factor, originalLength) => ({
      method: 'rope',
      scaling: { type: 'yarn', factor: Math.max(1, factor), originalLength },
    }),
  },
  { name: 't5', label: 'T5 bias', trained: 't5', evaluated: () => ({ method: 't5' }) },
  { name: 'alibi', label: 'ALiBi', ...plain('alibi') },
  { name: 'none', label: 'none', ...plain('none') },
];

/** Those drawn unless others are named. */
export const usualMethods: readonly string[] = extrapolationMethods
  .map(({ name }) => name)
  .filter((name) => name !== 'learned-tiled');

/** Methods by name, in the order of `extrapolationMethods`. @throws OptionError naming every name that is none. */
export function chooseMethods(names: readonly string[]): ExtrapolationMethod[] {
  const known = extrapolationMethods.map(({ name }) => name);
  const wrong = names.filter((name) => !known.includes(name));
  if (wrong.length > 0 || names.length === 0) {
    const reason =
      wrong.length > 0 ? unknown('method', wrong, known) : `names no method; known are ${known.join(', ')}`;
    throw new OptionError(`extrapolate: ${reason}.`);
  }
  return extrapolationMethods.filter(({ name }) => names.includes(name));
}
