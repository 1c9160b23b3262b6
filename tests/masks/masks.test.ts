// of masks/{blockwise,data,global,local,options}

import { describe, expect, it } from 'vitest';
import { print, variable } from '../../src/codegen/expression/index.js';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import * as m from '../../src/masks/index.js';
import { predicate } from './brute.js';

const square = (n: number): m.AttendShape => ({ B: 1, H: 1, G: 1, L: n, S: n });

/** A row per query of the first head, '1' where allowed. */
function picture(mask: m.Mask, shape: m.AttendShape, b = 0, h = 0): string[] {
  const allowed = predicate(mask.expression(shape), shape);
  return Array.from({ length: shape.L }, (_, i) =>
    Array.from({ length: shape.S }, (_, k) => Number(allowed(b, h, i, k))).join(''),
  );
}

describe('bands', () => {
  it('causal is bottom-right aligned', () => {
    expect(picture(m.causal(), { ...square(2), S: 5 })).toEqual(['11110', '11111']);
    expect(picture(m.causal(), { ...square(5), S: 2 })).toEqual(['00', '00', '00', '10', '11']);
  });

  it('within counts radius per side, left and right inclusively, causalWindow with self', () => {
    expect(picture(m.within({ radius: 1 }), square(4))).toEqual(['1100', '1110', '0111', '0011']);
    expect(picture(m.within({ left: 2, right: 0 }), square(4))).toEqual(['1000', '1100', '1110', '0111']);
    expect(picture(m.within({ left: 0, right: Infinity }), square(3))).toEqual(['111', '011', '001']);
    expect(picture(m.within({ left: Infinity, right: -1 }), square(3))).toEqual(['000', '100', '110']);
    expect(picture(m.within({ left: Infinity, right: Infinity }), square(2))).toEqual(['11', '11']);
    expect(picture(m.within({ causalWindow: 2 }), square(4))).toEqual(['1000', '1100', '0110', '0011']);
  });

  it('dilated steps by the dilation, 1 being none', () => {
    expect(picture(m.dilated({ dilation: 2, radiusSlots: 1 }), square(5))).toEqual([
      '10100',
      '01010',
      '10101',
      '01010',
      '00101',
    ]);
    expect(picture(m.dilated({ dilation: 2, causalSlots: 2 }), square(4))).toEqual(['1000', '0100', '1010', '0101']);
    for (const dilation of [1, 2, 3, 5]) {
      for (const causalSlots of [1, 2, 3, 6]) {
        for (const { L, S } of [square(31), { L: 9, S: 31 }, { L: 14, S: 11 }]) {
          const slots = new Set(Array.from({ length: causalSlots }, (_, slot) => slot * dilation));
          const rows = Array.from({ length: L }, (_, i) =>
            Array.from({ length: S }, (_, j) => Number(slots.has(i + S - L - j))).join(''),
          );
          expect(picture(m.dilated({ dilation, causalSlots }), { ...square(1), L, S })).toEqual(rows);
        }
      }
    }
    expect(picture(m.dilated({ dilation: 1, radiusSlots: 1 }), square(4))).toEqual(
      picture(m.within({ radius: 1 }), square(4)),
    );
  });
});

describe('factorised patterns', () => {
  it('strided', () => {
    expect(picture(m.strided({ stride: 2, part: 'local' }), square(4))).toEqual(
      picture(m.within({ radius: 1 }), square(4)),
    );
    expect(picture(m.strided({ stride: 2, part: 'summary' }), square(4))).toEqual(['1010', '0101', '1010', '0101']);
    expect(picture(m.strided({ stride: 3 }), square(4))).toEqual(['1111', '1111', '1111', '1111']);
  });

  it('fixed', () => {
    expect(picture(m.fixed({ stride: 3, columns: 1, part: 'local' }), square(5))).toEqual(
      picture(m.blocks({ size: 3 }), square(5)),
    );
    expect(picture(m.fixed({ stride: 3, columns: 1, part: 'summary' }), square(5))).toEqual(Array(5).fill('00100'));
    expect(picture(m.fixed({ stride: 3, columns: 1 }), square(5))).toEqual([
      '11100',
      '11100',
      '11100',
      '00111',
      '00111',
    ]);
  });
});

describe('global', () => {
  it('is read, written, or both', () => {
    expect(picture(m.global([1]), square(3))).toEqual(['010', '111', '010']);
    expect(picture(m.global([1], { access: 'readOnly' }), square(3))).toEqual(['010', '010', '010']);
    expect(picture(m.global([1], { access: 'writeOnly' }), square(3))).toEqual(['000', '111', '000']);
    expect(picture(m.global({ first: 1 }), square(3))).toEqual(['111', '100', '100']);
    expect(picture(m.global([]), square(2))).toEqual(['00', '00']);
  });

  it('counts positions in the keys’ numbering', () => {
    expect(picture(m.global([3]), { ...square(2), S: 4 })).toEqual(['0001', '1111']);
    // the first two queries are before the first key
    expect(picture(m.global({ first: 1 }), { ...square(4), S: 2 })).toEqual(['10', '10', '11', '10']);
    expect(picture(m.global([0]), { ...square(4), S: 2 })).toEqual(['10', '10', '11', '10']);
  });

  it('means the same by comparisons and by table', () => {
    const many = [1, 3, 5, 7, 9, 11];
    const [few, rest] = [m.global(many.slice(0, 3)), m.global(many.slice(3))];
    expect(picture(m.global(many), { ...square(14), S: 12 })).toEqual(picture(few.or(rest), { ...square(14), S: 12 }));
    expect(print(m.global(many).expression(square(12)))).toContain('global[k]');
    expect(print(m.global([4, 5, 6]).expression(square(12)))).toBe('q >= 4 and q <= 6 or k >= 4 and k <= 6');
  });
});

describe('data', () => {
  const two = { ...square(3), B: 2 };

  it('document compares ids, one list for all batches or one each', () => {
    expect(picture(m.document([7, 7, -2]), two, 1)).toEqual(['110', '110', '001']);
    const each = m.document([
      [0, 0, 1],
      [0, 1, 1],
    ]);
    expect(picture(each, two, 0)).toEqual(['110', '110', '001']);
    expect(picture(each, two, 1)).toEqual(['100', '011', '011']);
    expect(picture(m.document(Int32Array.of(0, 0, 1, 0, 1, 1)), two, 1)).toEqual(['100', '011', '011']);
  });

  it('document leaves queries before the first key alone', () => {
    expect(picture(m.document([0, 1]), { ...square(3), S: 2 })).toEqual(['00', '10', '01']);
  });

  it('prefix sees its first keys from everywhere and is causal after', () => {
    expect(picture(m.prefix(2), square(4))).toEqual(['1100', '1100', '1110', '1111']);
    expect(picture(m.prefix([0, 3]), two, 0)).toEqual(picture(m.causal(), square(3)));
    expect(picture(m.prefix([0, 3]), two, 1)).toEqual(['111', '111', '111']);
  });

  it('lengths hides padding keys', () => {
    expect(picture(m.lengths([1, 3]), two, 0)).toEqual(['100', '100', '100']);
    expect(picture(m.lengths([1, 3]), two, 1)).toEqual(['111', '111', '111']);
  });

  it('dense takes any allowed pairs, spread over batches and heads', () => {
    const shape = { ...square(2), H: 2, B: 2, S: 3 };
    const data = [1, 0, 1, 0, 1, 1];
    expect(picture(m.dense(data, [2, 3]), shape, 1, 1)).toEqual(['101', '011']);
    expect(picture(m.dense([...data, 0, 0, 0, 1, 0, 0], [2, 2, 3]), shape, 1, 1)).toEqual(['000', '100']);
    expect(picture(m.dense([...data, 0, 0, 0, 1, 0, 0].map(Boolean), [2, 1, 2, 3]), shape, 1, 1)).toEqual([
      '000',
      '100',
    ]);
  });

  it('copies what it is given', () => {
    const ids = Int32Array.of(0, 0, 1);
    const mask = m.document(ids);
    ids.fill(5);
    expect(picture(mask, square(3))).toEqual(['110', '110', '001']);
  });
});

describe('the algebra', () => {
  const [a, b] = [m.causal(), m.within({ radius: 1 })];
  it('combines', () => {
    expect(picture(a.and(b), square(3))).toEqual(['100', '110', '011']);
    expect(picture(a.or(b), square(3))).toEqual(['110', '111', '111']);
    expect(picture(b.not(), square(3))).toEqual(['001', '000', '100']);
    expect(String(a.and(b.not()).or(m.global([0])))).toBe('causal().and(within({ radius: 1 }).not()).or(global([0]))');
  });

  it('drops what the shape decides, and keeps one expression per shape', () => {
    expect(print(m.within({ radius: 9 }).expression(square(5)))).toBe('true');
    expect(print(a.and(m.global({ first: 9 })).expression(square(5)))).toBe('k <= q');
    expect(a.expression(square(4))).toBe(a.expression({ ...square(4) }));
    expect(a.expression(square(4))).not.toBe(a.expression({ ...square(4), S: 5 }));
  });

  it('takes the user’s own rule, which may know the shape', () => {
    expect(
      picture(
        m.mask(({ q, k }) => q.add(k).mod(2).eq(0)),
        square(3),
      ),
    ).toEqual(['101', '010', '101']);
    expect(
      picture(
        m.mask(({ q, k }, { S }) => q.add(k).lt(S)),
        square(3),
      ),
    ).toEqual(['111', '110', '100']);
    expect(
      picture(
        m.mask(({ q, k, h, b }) => q.sub(k).eq(h.sub(b))),
        { ...square(2), H: 2 },
        0,
        1,
      ),
    ).toEqual(['00', '10']);
  });
});

describe('bad input gets one sentence', () => {
  const at =
    (mask: m.Mask, shape: Partial<m.AttendShape> = {}): (() => unknown) =>
    () =>
      mask.expression({ ...square(4), ...shape });
  it.each(['[[[0]]]', '[[[1.5],[0]]]', '[[[-1],[0]]]', '[[[2],[0]]]', '[[[0,1],[0]]]', '[[[],[]]]', '[]'])(
    'picks of %s',
    (json) => {
      const run = () => m.pickedBlocks({ numBlocks: 2, picks: JSON.parse(json) as number[][][] });
      expect(run).toThrow(OptionError);
      expect(run).toThrow(/2 lists of equally many blocks from 0 to 1/);
    },
  );

  it.each<[string, () => unknown, new (message: string) => Error, RegExp]>([
    [
      'negative radius',
      () => m.within({ radius: -1 }),
      OptionError,
      /radius must be a whole number from 0 to 2\^31 - 1; got -1/,
    ],
    ['fractional radius', () => m.within({ radius: 1.5 }), OptionError, /got 1\.5/],
    ['text', () => m.within({ radius: '3' as never }), OptionError, /got "3"/],
    ['an option misspelt', () => m.within({ raduis: 3 } as never), OptionError, /"raduis" \(did you mean "radius"\?\)/],
    [
      'radius with left',
      () => m.within({ radius: 1, left: 2 }),
      OptionError,
      /takes \{ radius \} or \{ left, right \} or/,
    ],
    ['left alone', () => m.within({ left: 2 } as never), OptionError, /got \{ left \}/],
    ['an empty band', () => m.within({ left: 1, right: -2 }), OptionError, /leave no key/],
    ['NaN', () => m.within({ left: NaN, right: 0 }), OptionError, /left must be a whole number or Infinity/],
    ['no window', () => m.within({ causalWindow: 0 }), OptionError, /from 1 to 2\^31 - 1; got 0/],
    [
      'no dilation',
      () => m.dilated({ dilation: 0, radiusSlots: 1 }),
      OptionError,
      /dilation must be a whole number from 1/,
    ],
    [
      'more columns than the stride',
      () => m.fixed({ stride: 4, columns: 5 }),
      OptionError,
      /columns must be at most stride/,
    ],
    [
      'an unknown part',
      () => m.strided({ stride: 4, part: 'both' as never }),
      OptionError,
      /part must be "union", "local" or "summary"; got "both"/,
    ],
    ['an unknown access', () => m.global([0], { access: 'read' as never }), OptionError, /access must be "symmetric"/],
    ['a negative position', () => m.global([-1]), OptionError, /positions\[0\] must be a whole number from 0/],
    ['a position beyond the keys', at(m.global([0, 4])), ShapeError, /position 4 is outside the 4 keys/],
    ['ids of another length', at(m.document([1, 2, 3])), ShapeError, /\[S\] or \[B,S\]; got 3 ids for B=1, S=4/],
    ['ragged ids', () => m.document([[1], [1, 2]]), ShapeError, /of one length/],
    ['no ids', () => m.document([]), OptionError, /must not be empty/],
    ['ids that are no list', () => m.document(3 as never), OptionError, /must be a list of whole numbers; got 3/],
    ['lengths of another batch', at(m.lengths([1, 2])), ShapeError, /one entry per batch; got 2 for B=1/],
    ['a dense mask that does not fill its shape', () => m.dense([1], [2, 2]), ShapeError, /for 1 entries/],
    ['a dense mask of other heads', at(m.dense(new Uint8Array(32), [2, 4, 4]), { H: 3 }), ShapeError, /does not fit/],
    ['a rule that is none', () => m.mask('causal' as never), OptionError, /takes a function/],
    [
      'a rule that returns a number',
      at(m.mask(({ q }) => q as never)),
      OptionError,
      /must return a boolean expression; got an expression of type i32/,
    ],
    ['a rule that returns nothing', at(m.mask(() => undefined as never)), OptionError, /got undefined/],
    [
      'an unknown variable',
      at(m.mask(() => variable('j', 'i32').eq(0))),
      OptionError,
      /unknown variable j; the variables are b, h, q, k/,
    ],
    [
      'a function where a mask belongs',
      () => m.causal().and((() => true) as never),
      OptionError,
      /and: takes a mask; got a function/,
    ],
  ])('%s', (_, run, type, message) => {
    expect(run).toThrow(type);
    expect(run).toThrow(message);
  });

  it('a table read out of range, where that is certain', async () => {
    const { lookup, tableOf } = await import('../../src/codegen/expression/index.js');
    const table = tableOf('ids', Int32Array.of(1, 2, 3));
    expect(at(m.mask(({ k }) => lookup(table, k).eq(1)))).toThrow(
      /table "ids" of shape \[3\] is read at k along dimension 0, which runs over 0…3/,
    );
    expect(at(m.mask(({ k }) => lookup(table, k.add(3)).eq(1)))).toThrow(ShapeError);
    expect(at(m.mask(({ k }) => lookup(table, k.sub(1)).eq(1)))).not.toThrow();
    const device = { name: 'learned', dtype: 'f32' as const, shape: [4], source: {} };
    expect(at(m.mask(({ k }) => lookup(device, k).gt(0)))).toThrow(/"learned" must be host data/);
  });
});
