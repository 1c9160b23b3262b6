import { flash } from '../../../src/attention/index.js';
import { gate } from '../../contract/gate/index.js';
import { patternOracle } from '../../oracles/graph.js';

const oracle = patternOracle(() => true);

gate(flash, { oracle, exactWhen: [{}] });
