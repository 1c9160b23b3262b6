import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compile, print } from '../../src/codegen/expression/index.js';
import * as m from '../../src/masks/index.js';

const shape = { B: 2, H: 2, G: 1, L: 50, S: 60 };
const found = (mask: m.Mask): m.Periodicity | undefined => m.periodicity(mask.expression(shape));

/** The mask is its rewritten form inside each class and nothing between classes. */
function checkEquivalent(mask: m.Mask): number | undefined {
  const expression = mask.expression(shape);
  const periodicity = m.periodicity(expression);
  if (periodicity === undefined) return undefined;
  const { period } = periodicity;
  const whole = compile(expression, ['b', 'h', 'q', 'k']);
  const inClass = compile(periodicity.expression, ['b', 'h', 'q', 'k', 'c']);
  for (let head = 0; head < 4; head++) {
    const [b, h] = [head >> 1, head & 1];
    for (let q = -10; q < shape.S; q++) {
      for (let k = 0; k < shape.S; k++) {
        const c = ((q % period) + period) % period;
        const expected = k % period === c ? inClass(b, h, (q - c) / period, (k - c) / period, c) : 0;
        if (whole(b, h, q, k) !== expected)
          throw new Error(`${String(mask)} at q=${q}, k=${k}: ${print(periodicity.expression)}`);
      }
    }
  }
  return period;
}

describe('periodicity', () => {
  it.each<[m.Mask, number, string]>([
    [m.dilated({ dilation: 3, radiusSlots: 6 }), 3, '|q - k| <= 6'],
    [m.dilated({ dilation: 4, causalSlots: 5 }), 4, 'q - k >= 0 and q - k <= 4'],
    [m.causal().and(m.strided({ stride: 5, part: 'summary' })), 5, 'q - k >= 0'],
    [m.strided({ stride: 7, part: 'summary' }), 7, 'true'],
    [
      m.dilated({ dilation: 4, radiusSlots: 3 }).or(m.dilated({ dilation: 6, radiusSlots: 2 })),
      2,
      '(q - k) mod 2 = 0 and |q - k| <= 6 or (q - k) mod 3 = 0 and |q - k| <= 6',
    ],
    [m.strided({ stride: 4, part: 'summary' }).and(m.strided({ stride: 6, part: 'summary' })), 12, 'true'],
  ])('finds it and rewrites the mask: %s', (mask, period, text) => {
    const { expression, usesClass } = found(mask)!;
    expect(checkEquivalent(mask)).toBe(period);
    expect(print(expression)).toBe(text);
    expect(usesClass).toBe(false);
  });

  it('keeps the class where the mask reads positions', () => {
    const mask = m
      .dilated({ dilation: 3, radiusSlots: 6 })
      .and(m.lengths([20, 60]))
      .and(m.document(Array.from({ length: 60 }, (_, i) => i >> 4)));
    expect(checkEquivalent(mask)).toBe(3);
    expect(found(mask)!.usesClass).toBe(true);
  });

  it.each<[string, m.Mask]>([
    ['bands', m.causal().and(m.within({ radius: 5 }))],
    ['a union with a band', m.strided({ stride: 5 })],
    ['a union with global tokens', m.dilated({ dilation: 3, radiusSlots: 6 }).or(m.global([0]))],
    ['a complement', m.strided({ stride: 5, part: 'summary' }).not()],
    ['no step', m.dilated({ dilation: 1, radiusSlots: 6 })],
    ['a step per head', m.mask(({ q, k, h }) => q.sub(k).mod(h.add(2)).eq(0))],
    ['another residue', m.mask(({ q, k }) => q.sub(k).mod(4).eq(1))],
    ['nothing at all', m.causal().and(m.causal().not())],
  ])('finds none in %s', (_, mask) => {
    expect(found(mask)).toBeUndefined();
  });

  it('rewrites sums, quotients and comparisons of differences rightly', () => {
    const literal = fc.integer({ min: -40, max: 40 });
    const rule = fc.tuple(
      fc.constantFrom('le', 'lt', 'ge', 'gt', 'eq', 'ne' as const),
      fc.constantFrom('plain', 'abs', 'mod', 'floorDiv', 'neg', 'mul' as const),
      literal,
      fc.integer({ min: 1, max: 12 }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 6 }), fc.array(rule, { minLength: 1, maxLength: 3 }), (period, rules) => {
        const mask = m.mask(({ q, k }) => {
          const d = q.sub(k);
          return rules.reduce((all, [comparison, form, bound, n]) => {
            const x = { plain: d, abs: d.abs(), mod: d.mod(n), floorDiv: d.floorDiv(n), neg: d.neg(), mul: d.mul(n) }[
              form
            ];
            return all.and(x[comparison](bound));
          }, d.mod(period).eq(0));
        });
        // a rule may leave nothing but d = 0, or nothing
        const found = checkEquivalent(mask) ?? period;
        expect(found % period).toBe(0);
      }),
      { numRuns: 100, interruptAfterTimeLimit: 30_000 },
    );
  });
});
