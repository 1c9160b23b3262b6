import { lookup, tableOf } from '../codegen/expression/index.js';
import { checkValue, int32From } from '../core/requirements.js';
import { words } from '../core/random.js';
import { blocks, dilated, fixed, global, Mask, prefix, strided, within } from '../masks/index.js';
import { place } from '../masks/place.js';

/** A mask, and what it is called. */
export interface Part {
  readonly mask: Mask;
  readonly label: string;
  /** Never looks ahead. */
  readonly causal?: boolean;
}

/** A form of a mask: options that go together, whole numbers from these on. */
export interface Form {
  readonly options: Readonly<Record<string, number>>;
  readonly about: string;
  readonly build: (...values: [number, number]) => Part;
}

/** Masks by name, each with its forms. */
export const maskForms: Readonly<Record<string, readonly Form[]>> = {
  within: [
    {
      options: { radius: 0 },
      about: 'sliding window, so many keys on each side',
      build: (radius) => ({ mask: within({ radius }), label: `sliding window, radius ${radius}` }),
    },
    {
      options: { left: -(2 ** 31) + 1, right: -(2 ** 31) + 1 },
      about: 'so many keys before, and so many after',
      build: (left, right) => ({
        mask: within({ left, right }),
        label: `window of ${left} before, ${right} after`,
        causal: right <= 0,
      }),
    },
    {
      options: { causalWindow: 1 },
      about: 'the last keys, the own one included',
      build: (causalWindow) => ({
        mask: within({ causalWindow }),
        label: `causal window, ${causalWindow} keys`,
        causal: true,
      }),
    },
  ],
  dilated: [
    {
      options: { dilation: 1, radiusSlots: 0 },
      about: 'every dilation-th key, so many on each side',
      build: (dilation, radiusSlots) => ({
        mask: dilated({ dilation, radiusSlots }),
        label: `dilated window, every ${ordinal(dilation)} of ±${dilation * radiusSlots}`,
      }),
    },
  ],
  strided: [
    {
      options: { stride: 1 },
      about: 'Sparse Transformer: near keys, and every N-th',
      build: (stride) => ({ mask: strided({ stride }), label: `strided, ${stride}` }),
    },
  ],
  fixed: [
    {
      options: { stride: 1, columns: 1 },
      about: 'Sparse Transformer: own block, last columns',
      build: (stride, columns) => ({
        mask: fixed({ stride, columns }),
        label: `fixed, blocks of ${stride} + ${columns}`,
      }),
    },
  ],
  blocks: [
    {
      options: { size: 1 },
      about: 'block-diagonal',
      build: (size) => ({ mask: blocks({ size }), label: `blocks of ${size}` }),
    },
  ],
  prefix: [
    {
      options: { length: 0 },
      about: 'the first keys for all, later ones causally',
      build: (length) => ({ mask: prefix(length), label: `prefix of ${length}` }),
    },
  ],
  global: [
    {
      options: { first: 0 },
      about: 'the first positions see and are seen by all',
      build: (first) => ({ mask: global({ first }), label: `${first} global` }),
    },
  ],
  bigbird: [
    {
      options: { size: 1 },
      about: 'blocks: 3 near, the first 2 global, 3 random',
      build: (size) => ({ mask: bigBird(size), label: `BigBird-like, blocks of ${size}` }),
    },
  ],
};

const ordinal = (n: number): string => (n === 1 ? 'key' : n === 2 ? '2nd' : n === 3 ? '3rd' : `${n}th`);

/**
 * BigBird's pattern in blocks (Zaheer et al. 2020, arXiv 2007.14062): a window of 3 blocks, the first 2 blocks global in both
 * directions, 3 random blocks for each block of queries.
 *
 * Relative to the paper: random blocks may repeat or fall on others, so a row sees up to 8 blocks.
 */
function bigBird(size: number, seed = 0): Mask {
  checkValue('bigbird', 'size', size, int32From(1));
  return new Mask(`bigBird({ size: ${size} })`, ({ S }) => {
    const count = Math.ceil(S / size);
    const seen = new Uint8Array(count * count);
    const random = words(seed, 'bigbird blocks', 3 * count);
    for (let q = 0; q < count; q++) {
      for (let k = 0; k < count; k++) if (Math.abs(q - k) <= 1 || q < 2 || k < 2) seen[q * count + k] = 1;
      for (let r = 0; r < 3; r++) seen[q * count + (random[3 * q + r]! % count)] = 1;
    }
    const table = tableOf('bigbird', seen, [count, count]);
    const block = (x: typeof place.q) => x.floorDiv(size);
    return lookup(table, block(place.q), block(place.k)).ne(0);
  });
}
