import { lookup, tableOf } from '../codegen/expression/index.js';
import { OptionError } from '../core/errors.js';
import { unknown } from '../core/names.js';
import { checkValue, int32From } from '../core/requirements.js';
import { words } from '../core/random.js';
import { blocks, dilated, fixed, global, Mask, prefix, strided, within } from '../masks/index.js';
import { place } from '../masks/place.js';

/** A mask as the command line names it, such as `radius:256+global:16` or `strided:128/causal`. */
export interface NamedMask {
  readonly name: string;
  /** A few words for people. */
  readonly label: string;
  /** Given to `attend` as its options. */
  readonly causal: boolean;
  readonly mask: Mask | undefined;
  /** What it stands in for: a mask that never looks ahead approximates causal attention, any other full attention. */
  readonly target: 'full' | 'causal';
}

interface Part {
  readonly mask: Mask;
  readonly label: string;
  /** Never looks ahead. */
  readonly causal?: boolean;
}

/** One word of the language: the letters after it are numbers. */
interface Word {
  readonly numbers: readonly string[];
  readonly about: string;
  readonly build: (...numbers: [number, number]) => Part;
}

export const maskWords: Readonly<Record<string, Word>> = {
  radius: {
    numbers: ['R'],
    about: 'sliding window, R keys on each side',
    build: (radius) => ({ mask: within({ radius }), label: `sliding window, radius ${radius}` }),
  },
  'causal-window': {
    numbers: ['W'],
    about: 'the last W keys, the own one included',
    build: (causalWindow) => ({
      mask: within({ causalWindow }),
      label: `causal window, ${causalWindow} keys`,
      causal: true,
    }),
  },
  dilated: {
    numbers: ['D', 'S'],
    about: 'window with gaps: every D-th key, S of them on each side',
    build: (dilation, radiusSlots) => ({
      mask: dilated({ dilation, radiusSlots }),
      label: `dilated window, every ${ordinal(dilation)} of ±${dilation * radiusSlots}`,
    }),
  },
  strided: {
    numbers: ['N'],
    about: 'Sparse Transformer: N nearest keys each way, and every N-th key',
    build: (stride) => ({ mask: strided({ stride }), label: `strided, ${stride}` }),
  },
  fixed: {
    numbers: ['N', 'C'],
    about: 'Sparse Transformer: own block of N, and the last C keys of every block',
    build: (stride, columns) => ({
      mask: fixed({ stride, columns }),
      label: `fixed, blocks of ${stride} + ${columns}`,
    }),
  },
  blocks: {
    numbers: ['N'],
    about: 'block-diagonal, blocks of N keys',
    build: (size) => ({ mask: blocks({ size }), label: `blocks of ${size}` }),
  },
  prefix: {
    numbers: ['N'],
    about: 'the first N keys seen by all, later ones causally',
    build: (length) => ({ mask: prefix(length), label: `prefix of ${length}` }),
  },
  global: {
    numbers: ['N'],
    about: 'the first N positions see and are seen by all',
    build: (first) => ({ mask: global({ first }), label: `${first} global` }),
  },
  bigbird: {
    numbers: ['N'],
    about: 'blocks of N: 3 around the own, the first 2 global, 3 random ones (BigBird)',
    build: (size) => ({ mask: bigBird(size), label: `BigBird-like, blocks of ${size}` }),
  },
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

/** What names look like, for the help. */
export const maskGrammar = `Masks
  none                  every pair
  causal                keys up to the query
${Object.entries(maskWords)
  .map(([word, { numbers, about }]) => `  ${[word, ...numbers].join(':').padEnd(20)}  ${about}`)
  .join('\n')}
  A+B                   pairs of either, such as radius:256+global:16 (Longformer)
  A/causal              only keys up to the query, such as strided:128/causal`;

/** @throws OptionError for a word or number that is not understood, with the nearest word. */
export function namedMask(name: string): NamedMask {
  const [union = '', suffix, ...more] = name.split('/');
  if (more.length > 0 || (suffix !== undefined && suffix !== 'causal')) {
    throw new OptionError(`mask "${name}": only "/causal" may follow a mask.`);
  }
  const suffixed = suffix !== undefined;
  if (union === 'none' || union === 'causal') {
    const causal = union === 'causal' || suffixed;
    return {
      name: causal ? 'causal' : 'none',
      label: causal ? 'exact causal' : 'exact',
      causal,
      mask: undefined,
      target: causal ? 'causal' : 'full',
    };
  }
  const parts = union.split('+').map((part) => partOf(name, part));
  const label = parts.map((part) => part.label).join(' + ');
  return {
    name,
    label: suffixed ? `causal: ${label}` : label,
    causal: suffixed,
    mask: parts.map((part) => part.mask).reduce((all, mask) => all.or(mask)),
    target: suffixed || parts.every((part) => part.causal) ? 'causal' : 'full',
  };
}

function partOf(name: string, text: string): Part {
  const [word = '', ...rest] = text.split(':');
  const known = ['none', 'causal', ...Object.keys(maskWords)];
  const found = Object.hasOwn(maskWords, word) ? maskWords[word] : undefined;
  if (found === undefined) {
    if (word === 'causal' || word === 'none') {
      throw new OptionError(`mask "${name}": "${word}" stands alone; write A/causal for the causal part of A.`);
    }
    throw new OptionError(`mask "${name}": ${unknown('mask', [word], known)}.`);
  }
  const numbers = rest.map((digits) => (/^\d+$/.test(digits) ? Number(digits) : NaN));
  if (numbers.length !== found.numbers.length || numbers.some(Number.isNaN)) {
    throw new OptionError(
      `mask "${name}": "${word}" takes the form ${[word, ...found.numbers].join(':')} with whole numbers; got "${text}".`,
    );
  }
  return found.build(...(numbers as [number, number]));
}
