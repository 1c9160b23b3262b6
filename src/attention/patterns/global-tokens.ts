import { global, within, type Mask } from '../../masks/index.js';
import { defineAttention } from '../define.js';
import { choice, integer, integers } from '../options.js';
import { costOfPairs } from '../pairs.js';
import { keysBetween, sumOverRows } from './rows.js';

interface GlobalOptions {
  readonly numGlobals: number;
  readonly globals: readonly number[];
}

/** The global positions that a sequence of n reaches, rising. */
function positions({ numGlobals, globals }: GlobalOptions, n: number): readonly number[] {
  const all = globals.length > 0 ? globals : Array.from({ length: Math.min(n, numGlobals) }, (_, i) => i);
  return [...new Set(all)].filter((position) => position < n).sort((a, b) => a - b);
}

const accesses = { both: 'symmetric', read: 'readOnly', write: 'writeOnly' } as const;

/** Global tokens: everyone sees them, they see everyone. */
export const globalTokens = defineAttention({
  name: 'global-tokens',
  family: 'patterns',
  summary: 'A few tokens see everything and are seen by all; the others see them, themselves and perhaps a window.',
  paper: {
    authors: 'Ainslie et al.',
    title: 'ETC: Encoding Long and Structured Inputs in Transformers',
    year: 2020,
    arxiv: '2004.08483',
  },
  formula: 'keys of query i: { j : i ∈ G or j ∈ G or |i − j| ≤ radius }',
  complexity: 'n·(g + r)·d',
  exactness: 'exact on its support',
  relativeToPaper:
    'the global tokens are tokens of the sequence and share its projections; the paper gives them a sequence of their own.',
  options: {
    numGlobals: integer({ min: 0, default: 32, help: 'so many first tokens are global' }),
    globals: integers({
      min: 0,
      default: [],
      help: 'positions of the global tokens, in place of the first; those beyond the sequence have no effect',
    }),
    access: choice(['both', 'read', 'write'], {
      default: 'both',
      help: 'read: all see the global tokens; write: the global tokens see all',
    }),
    radius: integer({ min: -1, default: 0, help: "keys seen on each side besides the query's own; −1: none at all" }),
  },
  supports: { causal: true, cross: false, padding: true, score: true, groupedHeads: true, decode: 'cache' },
  pattern: ({ S }, { access, radius, ...options }): Mask => {
    const list = positions(options, S);
    const first = list.every((position, i) => position === i);
    const tokens = global(first ? { first: list.length } : list, { access: accesses[access] });
    return radius < 0 ? tokens : within({ radius }).or(tokens);
  },
  cost: (shape, { access, radius, ...options }, causal) => {
    const { H, S } = shape;
    const list = positions(options, S);
    const flags = new Uint8Array(S);
    for (const position of list) flags[position] = 1;
    const before = new Int32Array(S + 1);
    for (let j = 0; j < S; j++) before[j + 1] = before[j]! + flags[j]!;
    const pairs = sumOverRows(shape, (i) => {
      if (access !== 'read' && flags[i] === 1) return causal ? i + 1 : S;
      const [from, to] = [i - radius, causal ? Math.min(i, i + radius) : i + radius];
      const near = keysBetween(S, from, to);
      if (access === 'write') return near;
      const [start, end] = [Math.max(0, from), Math.min(S, to + 1)];
      const seen = before[causal ? i + 1 : S]!;
      return near + seen - (near > 0 ? before[end]! - before[start]! : 0);
    });
    return costOfPairs(shape, H * pairs);
  },
});
