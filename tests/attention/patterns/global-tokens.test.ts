import { describe, expect, it } from 'vitest';
import { globalTokens } from '../../../src/attention/patterns/index.js';
import { gate } from '../../contract/gate/index.js';
import { patternOracle } from '../../oracles/graph.js';
import { countsAnyLength, countsPairs } from './pairs.js';

interface Options {
  numGlobals: number;
  globals: readonly number[];
  access: 'both' | 'read' | 'write';
  radius: number;
}

const oracle = patternOracle<Options>(({ options, L, S }, _b, _h, i, j) => {
  const { numGlobals, globals, access, radius } = options;
  const query = i + S - L;
  const isGlobal = (x: number): boolean => (globals.length > 0 ? globals.includes(x) : x < numGlobals);
  if (Math.abs(query - j) <= radius) return true;
  return (access !== 'write' && isGlobal(j)) || (access !== 'read' && isGlobal(query));
});

const scattered = [3, 8, 8, 15, 90];

gate(globalTokens, {
  oracle,
  options: [
    { numGlobals: 2 },
    { globals: scattered, radius: 1 },
    { globals: scattered, access: 'read' },
    { globals: scattered, access: 'write' },
  ],
  exactWhen: [{}, { options: { radius: 16 } }],
});

describe('global-tokens', () => {
  countsPairs(globalTokens, [
    // 2gn − g² + window over the others
    [4096, { numGlobals: 2, radius: 512 }, false, 3_950_074],
    [4096, { numGlobals: 1, radius: 256 }, false, 2_043_134],
    [1000, { numGlobals: 10, radius: -1 }, false, 2 * 10 * 1000 - 100],
    [1000, { numGlobals: 10, radius: -1, access: 'read' }, false, 10 * 1000],
    [1000, { numGlobals: 10, radius: -1, access: 'write' }, false, 10 * 1000],
    // the star graph with its loops
    [1000, { globals: [500] }, false, 2 * 1000 - 1 + 999],
    [1000, { numGlobals: 2000 }, true, (1000 * 1001) / 2],
    [1000, { numGlobals: 0, radius: 0 }, false, 1000],
  ]);
  countsAnyLength(globalTokens, [
    {},
    { globals: scattered, radius: 2 },
    { globals: scattered, access: 'read', radius: -1 },
    { globals: scattered, access: 'write', radius: 1 },
  ]);

  it('lets tokens beyond the sequence have no effect', () => {
    const shape = { B: 1, H: 1, G: 1, L: 9, S: 9, D: 8, E: 8 };
    expect(globalTokens.cost(shape, { globals: [70] }).pairs).toBe(9);
  });
});
