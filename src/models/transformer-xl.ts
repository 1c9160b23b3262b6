import { RecurrentModel } from './recurrent.js';
import { SegmentSession } from './segment-session.js';
import type { SessionOptions } from './text-session.js';

export type { Segment, SegmentOptions } from './recurrent.js';

/**
 * Transformer-XL: a decoder that reads a text in segments `h [B, T, width]` and sees those before through a memory. In
 * layer l queries are of `h_l`, keys and values of `[stopgrad(memory_l) ; h_l]`, positions are distances, and
 * afterwards `memory_l = last M rows of [memory_l ; h_l]`, M being `memory.length`. It sees up to layers · M tokens
 * back. (Dai et al. 2019, arXiv 1901.02860.)
 *
 * The memory starts empty, as in the authors' PyTorch code; with `memory.initial` `'zeros'` it begins with M rows of zeros, as in
 * their TensorFlow code and in published checkpoints. A norm that comes before the attention is taken of the
 * memory too. Rows are kept in the precision of the call, as the layers read them: what comes of a text is the same
 * however it is cut into segments, as long as the memory holds all that came before.
 */
export class TransformerXl extends RecurrentModel {
  session(options: SessionOptions): SegmentSession {
    return new SegmentSession(this, options);
  }
}
