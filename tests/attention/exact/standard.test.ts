import { standard } from '../../../src/attention/index.js';
import { gate } from '../../contract/gate/index.js';
import { patternOracle } from '../../oracles/graph.js';

const product = 'the textbook multiplies hidden values by weights of 0';

gate(standard, {
  oracle: patternOracle(() => true),
  exactWhen: [{}],
  nanSpreads: { future: product, padding: product },
});
