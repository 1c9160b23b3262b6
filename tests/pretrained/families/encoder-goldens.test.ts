import { describe } from 'vitest';
import { onWebAssemblyFirst } from '../../support/devices.js';
import { testGolden } from '../golden.js';

const weights = 'weights of pairs: the mechanism computes none that it could give';
/** Results that the published code has beside hidden states and logits. */
const attentions = Object.fromEntries(
  ['attentions', 'global_attentions'].flatMap((name) => [0, 1].map((layer) => [`${name}.${layer}`, weights])),
);

describe('published encoders', () => {
  onWebAssemblyFirst((on) => {
    testGolden('bert', on);
    testGolden('roberta', on);
    testGolden('longformer', on, { without: attentions });
    testGolden('longformer_globals', on, { without: attentions });
    testGolden('big_bird_full', on, { without: attentions });
    testGolden('big_bird_sparse_eval', on);
    testGolden('big_bird_odd_length', on);
    testGolden('nystromformer', on);
    testGolden('fnet', on);
    testGolden('modernbert', on);
    testGolden('reformer_lsh_local', on);
  });
});
