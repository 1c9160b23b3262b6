// of ops/attend/tiling

import { describe, expect, it } from 'vitest';
import { compile, type Expression, type I32 } from '../../../src/codegen/expression/index.js';
import * as masks from '../../../src/masks/index.js';
import { splitMask } from '../../../src/ops/attend/split.js';
import * as scores from '../../../src/scores/index.js';
import { expectedOf, expectResults } from '../../oracles/attend-budget.js';
import * as rules from '../../oracles/rules.js';
import { onWebAssemblyFirst } from '../../support/devices.js';
import { normal } from '../../support/random.js';
import { inputs } from '../attend-arbitrary.js';
import { run } from '../attend-run.js';

const shape = { B: 2, H: 2, G: 1, L: 60, S: 96 };

const rows: readonly [string, masks.Mask, gathered: number, parts: number][] = [
  ['strided', masks.strided({ stride: 6 }), 0, 2],
  ['fixed', masks.fixed({ stride: 13, columns: 2 }), 1, 2],
  ['fixed, causal', masks.causal().and(masks.fixed({ stride: 13, columns: 2 })), 1, 2],
  ['summary columns alone', masks.fixed({ stride: 13, columns: 2, part: 'summary' }), 1, 1],
  ['far apart global keys', masks.within({ radius: 5 }).or(masks.global([3, 70, 71], { access: 'readOnly' })), 1, 2],
  ['leading global keys', masks.within({ radius: 5 }).or(masks.global({ first: 20 }, { access: 'readOnly' })), 0, 1],
  [
    'a pattern a head',
    masks.byHead([masks.blocks({ size: 10 }), masks.strided({ stride: 10, part: 'summary' })]),
    0,
    2,
  ],
  [
    'other columns in other heads',
    masks.byHead([masks.fixed({ stride: 13, columns: 2 }), masks.fixed({ stride: 13, columns: 2, group: 1 })]),
    2,
    3,
  ],
  [
    'packed documents, which depend on the batch',
    masks.fixed({ stride: 13, columns: 2 }).and(masks.lengths([70, 96])),
    1,
    2,
  ],
];

describe('splitMask', () => {
  const split = (mask: masks.Mask, gather = true): ReturnType<typeof splitMask> =>
    splitMask(mask.expression(shape), { S: shape.S, keyBlock: 16, gather });

  it.each(rows)('finds the parts of %s', (_, mask, gathered, parts) => {
    const found = split(mask);
    expect(found).toHaveLength(parts);
    expect(found.filter((part) => part.gathered)).toHaveLength(gathered);
    expect(split(mask, false).some((part) => part.gathered)).toBe(false);
  });

  it.each(rows)('gives every pair of %s to one part', (_, mask) => {
    const holds = (e: Expression): ((b: number, h: number, q: number, k: number) => number) =>
      compile(e, ['b', 'h', 'q', 'k']);
    const whole = holds(mask.expression(shape));
    const parts = split(mask).map((part) => ({ holds: holds(part.mask), keys: part.gathered?.keys }));
    for (const [b, h] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ] as const) {
      for (let q = shape.S - shape.L; q < shape.S; q++) {
        for (let k = 0; k < shape.S; k++) {
          const count = parts.reduce((sum, { holds: allows, keys }) => {
            if (keys === undefined) return sum + allows(b, h, q, k);
            const place = keys.indexOf(k);
            // the last query is the last place
            return sum + (place < 0 ? 0 : allows(b, h, q - shape.S + keys.length, place));
          }, 0);
          expect(count).toBe(whole(b, h, q, k));
        }
      }
    }
  });
});

onWebAssemblyFirst((on) => {
  const wide = { B: 1, H: 2, G: 1, L: 150, S: 230 };
  it.each([
    ['fixed', masks.fixed({ stride: 40, columns: 3 }), rules.fixed(40, 3), false],
    ['fixed, causal', masks.fixed({ stride: 40, columns: 3 }), rules.fixed(40, 3), true],
    ['strided', masks.strided({ stride: 40 }), rules.strided(40), true],
    [
      'scattered global keys',
      masks.within({ radius: 2 }).or(masks.global([9, 77, 150, 229], { access: 'readOnly' })),
      rules.either(
        rules.window(2, 2),
        () =>
          ({ j }) =>
            [9, 77, 150, 229].includes(j),
      ),
      false,
    ],
  ] as const)(
    'parts of %s add up, with scores that read positions and a learned table',
    async (_, mask, rule, causal) => {
      const { problem, cotangents } = inputs(wide, 16, 16, 7);
      const table = { data: normal(8, 2 * 230), shape: [1, 2, 1, 230] };
      const allowed = (causal ? rules.both(rules.causal, rule) : rule)(wide);
      const { results, counters } = await run(on.device, {
        problem,
        cotangents,
        tables: [table],
        options: ([bias]) => ({ mask, causal, score: scores.alibi().andThen(scores.bias(bias!)) }),
      });
      const score = [rules.alibi(wide), rules.bias(table.data, table.shape)];
      expectResults('attend', results, expectedOf({ ...problem, allowed, score }, cotangents));
      expect(counters.pairsVisited).toBeLessThan(2 * 150 * 230);
    },
  );
});

describe('keys are gathered where they are less than 0.6 of the blocks of 8 that they lie in', () => {
  it.each<[string, readonly (readonly [number, number])[], boolean]>([
    ['all of one block, to its end', [[0, 8]], false],
    ['5 of one block, to its end', [[3, 8]], false],
    ['4 of one block, to its end', [[4, 8]], true],
    ['5 over the end of a block', [[4, 9]], true],
    ['9 of two blocks', [[0, 9]], true],
    ['10 of two blocks', [[0, 10]], false],
    [
      '2 × 3 of two blocks, the first to its end',
      [
        [5, 8],
        [12, 15],
      ],
      true,
    ],
    [
      '2 × 5 of two blocks, the first to its end',
      [
        [3, 8],
        [8 + 1, 8 + 6],
      ],
      false,
    ],
    [
      '2 × 2 of one block',
      [
        [0, 2],
        [4, 6],
      ],
      true,
    ],
    [
      '2 + 3 of one block',
      [
        [0, 2],
        [4, 7],
      ],
      false,
    ],
    [
      'one in a block far behind',
      [
        [0, 8],
        [88, 89],
      ],
      true,
    ],
  ])('%s', (_, runs, isGathered) => {
    const within = ({ k }: { readonly k: I32 }) =>
      runs.map(([start, end]) => k.ge(start).and(k.lt(end))).reduce((a, b) => a.or(b));
    const expression = masks.mask(within).expression({ B: 1, H: 1, G: 1, L: 96, S: 96 });
    const parts = splitMask(expression, { S: 96, keyBlock: 8, gather: true });
    const keys = runs.flatMap(([start, end]) => Array.from({ length: end - start }, (__, i) => start + i));
    expect(parts.map(({ gathered }) => gathered && [...gathered.keys])).toEqual([isGathered ? keys : undefined]);
  });
});
