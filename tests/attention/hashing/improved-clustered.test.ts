import { improvedClustered } from '../../../src/attention/hashing/index.js';
import { gate } from '../../contract/gate/index.js';
import { draw, improvedFormula, small } from '../../oracles/clustered.js';

gate(improvedClustered, {
  oracle: improvedFormula,
  options: [{ ...small, topK: 5 }],
  causality: 'weights',
  draw: (next, shape) => ({ ...draw(next, shape), topK: 1 + Math.floor(next() * Math.min(shape.S, 12)) }),
  exactWhen: [{ options: { ...small, topK: 17 } }, { options: { numClusters: 17, bits: 48, topK: 3 }, causal: false }],
  refused: [{ options: { numClusters: 18 } }, { options: { numClusters: 2, topK: 18 } }],
});
