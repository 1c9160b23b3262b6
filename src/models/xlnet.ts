import { RecurrentModel } from './recurrent.js';

/**
 * XLNet: an encoder with the memory of a Transformer-XL. In layer l queries are of a segment `h_l`, keys and values of
 * `[stopgrad(memory_l) ; h_l]`, all of which each token sees; positions are distances to both sides, and types of tokens may be compared
 * (`position.segments`). Of a segment the first `memory.reuse` rows go into the memory, by default all. (Yang et al. 2019, "XLNet:
 * Generalized Autoregressive Pretraining for Language Understanding", arXiv 1906.08237.)
 *
 * Relative to the paper: what is trained on are tokens that the batch hides, in one stream; orders of factorisation and the second
 * stream, which pretraining has, are not here. The direction in which each token sees those before it alone is kind
 * `transformer-xl`.
 */
export class XlNet extends RecurrentModel {}
