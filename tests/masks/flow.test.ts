// of masks/by-head

import { describe, expect, test } from 'vitest';
import { byHead, causal, dense, global, strided, within, type Mask } from '../../src/masks/index.js';
import { flow } from '../../src/masks/flow.js';

/** Layer by layer over all pairs. */
function brute(sees: (h: number, q: number, k: number) => boolean, H: number, S: number, row: number): number[] {
  const reached: number[] = [];
  let known = new Set([row]);
  for (;;) {
    const next = new Set(known);
    for (const q of known) for (let k = 0; k < S; k++) for (let h = 0; h < H; h++) if (sees(h, q, k)) next.add(k);
    if (reached.length > 0 && next.size === known.size) return reached;
    reached.push(next.size);
    if (next.size === S) return reached;
    known = next;
  }
}

const [H, S] = [2, 47];
const of = (mask: Mask, row = S - 1) => flow(mask.expression({ B: 1, H, G: H, L: S, S }), { H, S, row, layers: 100 });

describe('flow', () => {
  test.each<[string, Mask, (h: number, q: number, k: number) => boolean]>([
    ['a window', causal().and(within({ radius: 5 })), (_, q, k) => k <= q && q - k <= 5],
    [
      'a star that reads only its first tokens',
      causal().and(global({ first: 3 })),
      (_, q, k) => k <= q && (q < 3 || k < 3),
    ],
    ['a star', global({ first: 3 }), (_, q, k) => q < 3 || k < 3],
    ['a grid', causal().and(strided({ stride: 7 })), (_, q, k) => k <= q && (q - k < 7 || (q - k) % 7 === 0)],
    [
      'heads that differ',
      byHead([within({ radius: 1 }), strided({ stride: 7, part: 'summary' })]),
      (h, q, k) => (h === 0 ? Math.abs(q - k) <= 1 : (q - k) % 7 === 0),
    ],
  ])('%s: what all pairs say', (_, mask, sees) => {
    for (const row of [0, 23, S - 1]) {
      const { reached, exact, ended } = of(mask, row);
      expect(reached).toEqual(brute(sees, H, S, row));
      expect([exact, ended]).toEqual([reached.length, true]);
    }
  });

  test('a rule without structure', () => {
    const at = (q: number, k: number): boolean => (q * 7 + k * 13) % 11 < 2;
    const table = Uint8Array.from({ length: S * S }, (_, i) => Number(at(Math.floor(i / S), i % S)));
    expect(of(dense(table, [S, S]), 9).reached).toEqual(brute((_, q, k) => at(q, k), H, S, 9));
  });

  test('a long text is sampled: never more than there is, and a bounded number of rows', () => {
    const long = 2 ** 17;
    const mask = causal()
      .and(within({ radius: 5000 }))
      .expression({ B: 1, H: 1, G: 1, L: long, S: long });
    const { reached, exact, rows } = flow(mask, { H: 1, S: long, row: long - 1, layers: 3 });
    expect(reached).toEqual([5001, 10001, 15001]);
    // the 5000 rows that one layer adds are not all looked at
    expect(exact).toBe(1);
    expect(rows).toBeLessThan(2 ** 14);
  });

  test('many heads are sampled: what is found is a bound, and the end is not known', () => {
    const heads = 64;
    const far = byHead(Array.from({ length: heads }, (_, h) => within({ radius: h })));
    const expression = far.expression({ B: 1, H: heads, G: heads, L: S, S });
    const { reached, exact } = flow(expression, { H: heads, S, row: 0, layers: 1 });
    expect(exact).toBe(0);
    expect(reached[0]).toBeLessThanOrEqual(brute((h, q, k) => Math.abs(q - k) <= h, heads, S, 0)[0]!);
  });
});
