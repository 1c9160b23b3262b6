import { describe, expect, it } from 'vitest';
import { strided } from '../../../src/attention/patterns/index.js';
import { predicate } from '../../masks/brute.js';
import { gate } from '../../contract/gate/index.js';
import { patternOracle } from '../../oracles/graph.js';
import { countsAnyLength, countsPairs } from './pairs.js';

interface Options {
  stride: number;
  part: 'union' | 'local' | 'summary';
}

const oracle = patternOracle<Options>(({ options: { stride, part }, L, S }, _b, _h, i, j) => {
  const distance = Math.abs(i + S - L - j);
  const [local, summary] = [distance < stride, distance % stride === 0];
  return { local, summary, union: local || summary }[part];
});

gate(strided, {
  oracle,
  options: [{ stride: 4 }, { part: 'summary' }, { stride: 5, part: 'local' }],
  exactWhen: [{ options: { stride: 17 } }, { options: { stride: 1 } }, { options: { stride: 1, part: 'summary' } }],
});

describe('strided', () => {
  countsPairs(strided, [
    [12_288, { stride: 128, part: 'local' }, true, 1_564_736],
    [12_288, { stride: 128, part: 'summary' }, true, 595_968],
    [12_288, { stride: 128 }, true, 2_148_416],
    [4096, { stride: 64 }, true, 389_152],
    [1024, { stride: 32 }, true, 48_144],
    [1024, {}, true, 48_144],
    [256, { stride: 256 }, true, (256 * 257) / 2],
  ]);
  countsAnyLength(strided, [{ stride: 6 }, { stride: 6, part: 'local' }, { stride: 6, part: 'summary' }, {}]);

  it('reaches every earlier position in two steps, near then far and far then near', () => {
    const n = 36;
    const shape = { B: 1, H: 1, G: 1, L: n, S: n, D: 8, E: 8 };
    const sees = (part: Options['part']): ((i: number, j: number) => boolean) => {
      const holds = predicate(strided.pattern(shape, { stride: 6, part })!.expression(shape), shape);
      return (i, j) => j <= i && holds(0, 0, i, j);
    };
    const [near, far] = [sees('local'), sees('summary')];
    const positions = Array.from({ length: n }, (_, i) => i);
    for (const i of positions) {
      for (const j of positions.slice(0, i + 1)) {
        expect(positions.some((m) => near(i, m) && far(m, j))).toBe(true);
        expect(positions.some((m) => far(i, m) && near(m, j))).toBe(true);
      }
    }
  });
});
