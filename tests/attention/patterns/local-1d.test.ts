import { describe } from 'vitest';
import { local1d } from '../../../src/attention/patterns/index.js';
import { gate } from '../../contract/gate/index.js';
import { patternOracle } from '../../oracles/graph.js';
import { countsAnyLength, countsPairs } from './pairs.js';

interface Options {
  blockSize: number;
  memory: number;
}

const oracle = patternOracle<Options>(({ options, L, S, causal }, _b, _h, i, j) => {
  const { blockSize: b } = options;
  const memory = options.memory >= 0 ? options.memory : causal ? b : 100;
  const start = b * Math.floor((i + S - L) / b);
  return j >= start - memory && j < start + b + memory;
});

gate(local1d, {
  oracle,
  options: [{ blockSize: 5, memory: 3 }, { blockSize: 4 }, { blockSize: 6, memory: 0 }],
  // up to two blocks are full causal attention
  exactWhen: [{}, { options: { blockSize: 9 }, causal: true }],
});

describe('local-1d', () => {
  countsPairs(local1d, [
    // masked: b(b + 1)/2 + (q − 1)(b² + b(b + 1)/2)
    [1024, {}, true, 8256 + 7 * (128 ** 2 + 8256)],
    [200, {}, true, (200 * 201) / 2],
    // n(b + 2f) without what is beyond both ends
    [1024, {}, false, 1024 * 328 - 2 * 128 * 100],
    [1024, { memory: 0 }, false, 1024 * 128],
  ]);
  countsAnyLength(local1d, [{ blockSize: 8 }, { blockSize: 8, memory: 3 }, {}]);
});
