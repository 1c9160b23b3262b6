import { attendWithin, costOfPairs, defineAttention, identity, integer, learned } from '../../src/attention/index.js';
import { within } from '../../src/masks/index.js';
import { add, matmul, mul } from '../../src/ops/index.js';
import { noGradient } from '../../src/tensor/index.js';

const paper = { authors: 'Nobody', title: 'None', year: 2000 };
const supports = {
  causal: true,
  cross: false,
  padding: false,
  score: false,
  groupedHeads: true,
  decode: false,
} as const;
const described = {
  family: 'patterns',
  summary: 'Each query sees the keys near it.',
  paper,
  formula: '',
  complexity: 'n·r·d',
  options: {},
  supports,
} as const;
const all = {
  cost: ({ B, H, L, S, D, E }: { B: number; H: number; L: number; S: number; D: number; E: number }) => ({
    pairs: H * L * S,
    multiplyAdds: B * H * L * S * (D + E),
  }),
};

/** Exact on a band. */
export const window = defineAttention({
  ...described,
  name: 'test-window',
  exactness: 'exact on its support',
  options: { radius: integer({ min: 0, default: 4, help: 'keys on each side' }) },
  pattern: (_, { radius }) => within({ radius }),
  cost: (shape, { radius }, causal) => {
    const sides = Array.from(
      { length: shape.L },
      (_, i) => Math.min(i, radius) + 1 + (causal ? 0 : Math.min(shape.L - 1 - i, radius)),
    );
    return costOfPairs(shape, shape.H * sides.reduce((a, b) => a + b, 0));
  },
});

/** Attention to values that a learned matrix changed. */
export const projected = defineAttention({
  ...described,
  ...all,
  name: 'test-projected',
  family: 'low-rank',
  exactness: 'learned',
  parameters: ({ E }) => ({ matrix: learned([E, E], identity) }),
  forward: (call) => ({ out: attendWithin({ ...call, v: mul(matmul(call.v, call.parameters.matrix), 1.5) }).out }),
});

/** Causal attention only. */
export const past = defineAttention({
  ...described,
  ...all,
  name: 'test-past',
  exactness: 'exact',
  supports: { ...supports, causal: 'only' },
  forward: attendWithin,
});

/** Says it is exact, and is not. */
export const wrong = defineAttention({
  ...described,
  ...all,
  name: 'test-wrong',
  exactness: 'exact',
  forward: (call) => ({ out: add(attendWithin(call).out, 1e-3) }),
});

export const infinite = defineAttention({
  ...described,
  ...all,
  name: 'test-infinite',
  exactness: 'biased',
  forward: ({ v }) => ({ out: mul(v, Infinity) }),
});

export const broken = defineAttention({
  ...described,
  ...all,
  name: 'test-broken',
  exactness: 'biased',
  forward: ({ q }) => {
    if (q.device.info.kind !== 'rehearsal') throw new Error('out of order.');
    return { out: mul(q, 1) };
  },
});

/** Even lengths, no causal form. */
export const evens = defineAttention({
  ...described,
  ...all,
  name: 'test-evens',
  exactness: 'exact',
  supports: { ...supports, causal: false },
  refuse: ({ L }) => (L % 2 === 0 ? [] : [`the length must be even: ${L - 1} or ${L + 1}`]),
  forward: attendWithin,
});

/** Right, but no gradient reaches q. */
export const stopped = defineAttention({
  ...described,
  ...all,
  name: 'test-stopped',
  exactness: 'exact',
  forward: (call) => attendWithin({ ...call, q: noGradient(() => mul(call.q, 1)) }),
});
