// of attention/{check-definition,define}, core/registry

import { afterEach, describe, expect, test } from 'vitest';
import {
  costOfPairs,
  defineAttention,
  integer,
  knownMechanisms,
  mechanism,
  mechanisms,
  registerMechanism,
  type Mechanism,
} from '../../src/attention/index.js';
import { OptionError, ShapeError } from '../../src/core/errors.js';
import { createDevice } from '../../src/devices/index.js';
import { within } from '../../src/masks/index.js';
import { createModel, readConfig } from '../../src/models/index.js';
import { full } from '../../src/tensor/index.js';

const plain = {
  name: 'mine',
  family: 'patterns',
  summary: '',
  paper: { authors: '', title: '', year: 2026 },
  formula: '',
  complexity: 'n',
  exactness: 'exact on its support',
  options: { radius: integer({ min: 0, default: 1, help: '' }) },
  supports: { causal: true, cross: false, padding: false, score: false, groupedHeads: false, decode: 'cache' },
  pattern: (_: unknown, { radius }: { readonly radius: number }) => within({ radius }),
  cost: (shape: { B: number; D: number; E: number }) => costOfPairs(shape as never, 1),
} as const;
const define = (change: object = {}): Mechanism => defineAttention({ ...plain, ...change });

const registered: (() => void)[] = [];
afterEach(() => registered.splice(0).forEach((forget) => forget()));
const register = (...[own, options]: Parameters<typeof registerMechanism>): void => {
  registered.push(registerMechanism(own, options));
};

describe('registerMechanism', () => {
  test('makes a name known, in models too, until it is taken back; the list of the package stays', () => {
    const [mine, before] = [define(), [...mechanisms]];
    expect(() => readConfig({ mechanism: 'mine' })).toThrow(/unknown mechanism "mine"; .*registerMechanism/);
    const forget = registerMechanism(mine);
    expect(mechanism('mine')).toBe(mine);
    expect(knownMechanisms()).toEqual([...before, mine]);
    expect(mechanisms).toEqual(before);
    const config = readConfig({ width: 8, heads: 2, layers: 1, mechanism: { name: 'mine', options: { radius: 3 } } });
    expect(config.mechanism).toEqual({ name: 'mine', options: { radius: 3 } });
    createModel(config).dispose();
    expect(() => readConfig({ mechanism: { name: 'mine', options: { radius: -1 } } })).toThrow('radius must be');
    forget();
    forget();
    expect(() => mechanism('mine')).toThrow(OptionError);
    expect(knownMechanisms()).toEqual(before);
  });

  test('a name that is taken is refused, and says by whom; the same mechanism again is no clash', () => {
    expect(() => register(define({ name: 'flash' }) as never)).toThrow(
      'registerMechanism: there is a mechanism "flash" in subquad already',
    );
    const mine = define();
    register(mine, { plugin: '/a/mine.mjs' });
    expect(() => register(define())).toThrow('there is a mechanism "mine" in /a/mine.mjs already');
    // what did not register it does not take it back
    registerMechanism(mine)();
    expect(mechanism('mine')).toBe(mine);
  });

  test.each([
    [undefined, 'got undefined'],
    [null, 'got null'],
    [{ name: 'mine' }, 'got object'],
    [{ definition: { name: 'mine' } }, '"mine" comes from another copy of subquad'],
  ])('%j is no mechanism', (value, sentence) => {
    expect(() => register(value as never)).toThrow(sentence);
    expect(() => register(value as never)).toThrow(OptionError);
  });
});

describe('a configuration with a plugin', () => {
  const json = { mechanism: { name: 'mine', options: {}, plugin: '/old/mine.mjs' } };

  test('is refused by the names of mechanism and file where that is missing', () => {
    expect(() => readConfig(json)).toThrow(
      'mechanism "mine" came from /old/mine.mjs, which is not loaded: pass --plugin /old/mine.mjs, or registerMechanism',
    );
  });

  test('the same in one layer of a pattern', () => {
    const layers = [{ mechanism: 'flash' }, { mechanism: 'mine' }];
    const forget = registerMechanism(define(), { plugin: '/a/mine.mjs' });
    const config = readConfig({ width: 8, heads: 2, layers });
    expect(config.pattern!.map(({ mechanism: { plugin } }) => plugin)).toEqual([undefined, '/a/mine.mjs']);
    forget();
    expect(() => readConfig(JSON.parse(JSON.stringify(config)))).toThrow(
      'layer 1 of the pattern: mechanism "mine" came from /a/mine.mjs, which is not loaded',
    );
  });

  test('names the file of now; a mechanism of the package in its place is refused', () => {
    register(define(), { plugin: '/new/mine.mjs' });
    expect(readConfig(json).mechanism.plugin).toBe('/new/mine.mjs');
    expect(() => readConfig({ mechanism: { ...json.mechanism, name: 'flash' } })).toThrow(
      'mechanism "flash" came from /old/mine.mjs, and subquad has another of this name',
    );
    expect(() => readConfig({ mechanism: { name: 'flash', plugin: 7 } })).toThrow('plugin must be the path of a file');
  });
});

describe('a definition that no compiler has seen', () => {
  test.each([
    [{ family: 'mine' }, 'family must be "exact", "patterns"'],
    [{ level: 'layer' }, 'level must be'],
    [{ exactness: 'nearly' }, 'exactness must be'],
    [{ summary: undefined }, 'summary is missing'],
    [{ cost: 3 }, 'cost must be a function; got 3'],
    [{ cost: undefined }, 'cost is missing'],
    [{ forwards: () => 0 }, 'unknown option "forwards" (did you mean "forward"?)'],
    [{ supports: { causal: true } }, 'supports: cross is missing'],
    [{ supports: { ...plain.supports, decode: 'ring' } }, 'supports: decode must be false, "cache" or "recurrent"'],
    [{ paper: { authors: '', title: '', year: '2026' } }, 'paper: year must be a year'],
    [{ inputs: { q2: 'x' } }, 'inputs: q2 must be "q", "k" or "v"; got "x"'],
    [{ options: { radius: 3 } }, 'option radius: make it with integer, number'],
    [{ options: { radius: { type: 'whole', help: '', default: 1 } } }, 'option radius: type must be'],
    [{ options: { radius: { type: 'integer', min: 0, help: '' } } }, 'option radius: default is missing'],
    [{ recurrence: {}, supports: { ...plain.supports, decode: 'recurrent' } }, 'recurrence: step is missing'],
  ])('%j', (change, sentence) => {
    expect(() => define(change)).toThrow(OptionError);
    expect(() => define(change)).toThrow(`defineAttention: mine: `);
    expect(() => define(change)).toThrow(sentence);
  });

  test.each([undefined, null, 7, {}])('%j', (value) => {
    expect(() => defineAttention(value as never)).toThrow(OptionError);
  });
});

test.each([undefined, {}, { multiplyAdds: NaN }, { multiplyAdds: 1, pairs: -1 }])('a cost of %j', (cost) => {
  const shape = { B: 1, H: 1, G: 1, L: 4, S: 4, D: 2, E: 2 };
  expect(() => define({ cost: () => cost }).cost(shape)).toThrow(OptionError);
});

test('what forward returns must be out, and logsumexp where there is one', async () => {
  const device = await createDevice({ kind: 'wasm', threads: 1 });
  const x = full([1, 2, 4, 8], 1, { device });
  for (const [returned, sentence] of [
    [() => undefined, 'mine: its forward must return out [1,2,4,8]; got undefined.'],
    [() => ({ out: full([1, 2, 8, 4], 1, { device }) }), 'got [1,2,8,4]'],
    [() => ({ out: full([1, 2, 4, 8], 1, { device }), logsumexp: 3 }), 'return logsumexp [1,2,4]; got number'],
  ] as const) {
    const before = device.ledger.live();
    expect(() => define({ forward: returned }).run(x, x, x)).toThrow(sentence);
    expect(() => define({ forward: returned }).run(x, x, x)).toThrow(ShapeError);
    expect(device.ledger.live()).toBe(before);
  }
  x.dispose();
  await device.dispose();
});
