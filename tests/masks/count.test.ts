// of masks/{axis,factorised,mask,row-source,runs,sources}

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as m from '../../src/masks/index.js';
import { composed, shapes } from './arbitrary.js';
import { countByHand, predicate } from './brute.js';

const count = (mask: m.Mask, L: number, S = L, heads: Partial<m.AttendShape> = {}): number =>
  m.countPairs(mask, { B: 1, H: 1, G: 1, L, S, ...heads });

// documents of golden/attend/document_causal, as lengths of stretches per batch
const documents = [
  [27, 22, 18, 16, 17],
  [17, 25, 18, 22, 18],
].flatMap((stretches) => stretches.flatMap((length, id) => Array<number>(length).fill(id)));

describe('countPairs', () => {
  it('counts by hand, however masks are combined', () => {
    fc.assert(
      fc.property(
        shapes.chain((shape) => fc.tuple(fc.constant(shape), composed(shape))),
        ([shape, mask]) => {
          expect(m.countPairs(mask, shape)).toBe(countByHand(shape, predicate(mask.expression(shape), shape)));
        },
      ),
      { numRuns: 300, interruptAfterTimeLimit: 30_000 },
    );
  });

  it('counts rows of many keys as it counts pairs', () => {
    const shape = { B: 1, H: 2, G: 1, L: 300, S: 700 };
    const ids = Array.from({ length: 700 }, (_, i) => (i * 13) % 5);
    const masks = [
      m.document(ids),
      m.document(ids).not().and(m.causal()),
      m.fixed({ stride: 50, columns: 7 }).and(m.causal()),
    ];
    for (const mask of masks) {
      expect(m.countPairs(mask, shape)).toBe(countByHand(shape, predicate(mask.expression(shape), shape)));
    }
  });

  // cases.json of the reference tensors states pairs over all heads
  it.each<[string, m.Mask, number, number, Partial<m.AttendShape>, number]>([
    ['causal', m.causal(), 130, 130, { H: 2 }, 17030],
    ['causal_more_keys', m.causal(), 33, 70, { H: 2 }, 3564],
    ['causal_more_queries', m.causal(), 70, 33, { H: 2 }, 1122],
    ['radius', m.within({ radius: 17 }), 200, 200, { H: 2 }, 13388],
    ['radius_causal', m.causal().and(m.within({ radius: 64 })), 200, 200, { H: 2 }, 21840],
    ['left_right', m.within({ left: 5, right: 20 }), 90, 90, { H: 2 }, 4230],
    ['radius_global', m.within({ radius: 8 }).or(m.global([0, 77])), 150, 150, { H: 2 }, 6048],
    ['document_causal', m.causal().and(m.document(documents)), 100, 100, { B: 2, H: 2 }, 4328],
    ['prefix', m.prefix(20), 64, 64, { H: 2 }, 4540],
    ['lengths', m.lengths([4, 12, 15, 22]), 45, 45, { B: 4, H: 2 }, 4770],
    ['dilated', m.dilated({ dilation: 3, radiusSlots: 6 }), 120, 120, { H: 2 }, 2868],
    ['strided_causal', m.causal().and(m.strided({ stride: 12 })), 144, 144, { H: 2 }, 4908],
    ['fixed_causal', m.causal().and(m.fixed({ stride: 12, columns: 2 })), 144, 144, { H: 2 }, 5040],
    ['long', m.causal(), 1030, 1030, {}, 530965],
  ])('reference case %s', (_, mask, L, S, heads, pairs) => {
    expect(count(mask, L, S, heads)).toBe(pairs);
  });

  it.each<[string, m.Mask, number, number]>([
    ['Longformer base, radius 256', m.within({ radius: 256 }), 4096, 2035456],
    ['Longformer base with one global token', m.within({ radius: 256 }).or(m.global([0])), 4096, 2043134],
    ['radius 128', m.within({ radius: 128 }), 1024, 246656],
    ['Sparse Transformer, stride 128', m.causal().and(m.strided({ stride: 128 })), 12288, 2148416],
    ['its local part, code convention', m.causal().and(m.strided({ stride: 128, part: 'local' })), 12288, 1564736],
    ['its strided part', m.causal().and(m.strided({ stride: 128, part: 'summary' })), 12288, 595968],
    ['fixed, 8 of 128 columns', m.causal().and(m.fixed({ stride: 128, columns: 8 })), 12288, 5462016],
    ['fixed, 32 of 128 columns', m.causal().and(m.fixed({ stride: 128, columns: 32 })), 12288, 19470336],
    ['its local part', m.causal().and(m.fixed({ stride: 128, columns: 8, part: 'local' })), 12288, 792576],
    ['its summary', m.causal().and(m.fixed({ stride: 128, columns: 8, part: 'summary' })), 12288, 4672896],
    ['stride 64', m.causal().and(m.strided({ stride: 64 })), 4096, 389152],
    ['stride 32', m.causal().and(m.strided({ stride: 32 })), 1024, 48144],
    ['causal', m.causal(), 12288, 75503616],
    ['three blocks', m.blocks({ size: 100 }), 300, 30000],
    ['dilated, 5 slots of 7', m.dilated({ dilation: 7, radiusSlots: 5 }), 400, 400 * 11 - 7 * 5 * 6],
  ])('published: %s', (_, mask, n, pairs) => {
    expect(count(mask, n)).toBe(pairs);
  });

  it('counts no mask, and nothing', () => {
    expect(m.countPairs(null, { B: 2, H: 3, G: 1, L: 4, S: 5 })).toBe(120);
    expect(count(m.causal().and(m.causal().not()), 50)).toBe(0);
  });
});
