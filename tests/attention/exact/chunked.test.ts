import { chunked } from '../../../src/attention/index.js';
import { gate } from '../../contract/gate/index.js';
import { patternOracle } from '../../oracles/graph.js';

gate(chunked, {
  oracle: patternOracle(() => true),
  // several chunks of both kinds at length 17, of which the last are shorter
  options: [{}, { queryChunk: 5, keyChunk: 7 }],
  exactWhen: [{}, { options: { queryChunk: 1, keyChunk: 1 } }],
  costShapes: [{ B: 1, H: 2, G: 1, L: 131, S: 131, D: 64, E: 64 }],
});
