import type { Initialiser } from '../attention/index.js';
import { checkValue, wholeBetween } from '../core/requirements.js';
import { Linear, ModuleList } from '../nn/index.js';
import { commonDevice, type Tensor } from '../tensor/index.js';
import { CompressiveLayer } from './compressive-layer.js';
import { checkConfig, type ModelConfig } from './config.js';
import { TransformerXl } from './transformer-xl.js';

/** A weight `[c·D, D]` by which c rows side by side become their mean. */
const meanOfRows: Initialiser = ([inputs = 0, outputs = 0]) =>
  Float32Array.from({ length: inputs * outputs }, (_, i) =>
    Math.floor(i / outputs) % outputs === i % outputs ? outputs / inputs : 0,
  );

/**
 * Compressive Transformer: a Transformer-XL that compresses what leaves the memory. Keys and values are of `[compressed
 * ; memory ; h]`. After a segment the rows `old` that leave the memory go through f_c, a convolution of the layer whose
 * kernel and stride are c rows, and `compressed = last N_c rows of [compressed ; f_c(old)]`: N_c is
 * `memory.compressed`, c `memory.ratio`. It sees up to layers · (M + c·N_c) tokens back. A compressed row is one step
 * from the next: positions count rows, not the tokens in them. (Rae et al. 2020, "Compressive Transformers for
 * Long-Range Sequence Modelling", arXiv 1911.05507.)
 *
 * Rows leave in whole groups of c, counted from the start of the text; until a group is complete its rows stay in the
 * memory, which so has up to M + c − 1. How a text is cut into segments does not change what is compressed with what.
 *
 * f_c learns from attention reconstruction alone: the auxiliary loss is the sum over the layers, not divided by their
 * number, of `mean((attn(h, f_c(old)) − attn(h, old))²)`, attn being the layer's heads before their output projection,
 * not causal, without positions, and with everything but f_c held fixed. It is there where rows left the memory and
 * gradients are recorded. Through the memory no gradient flows, so predictions do not train f_c.
 *
 * Relative to the paper: f_c begins as the mean of its rows, so that the first compressed rows already resemble what
 * they stand for.
 */
export class CompressiveTransformer extends TransformerXl {
  /** f_c of each layer; none where nothing is kept compressed. */
  readonly compressions: readonly Linear[];
  protected override readonly kept = ['recent', 'compressed'] as const;

  constructor(config: ModelConfig) {
    checkConfig('CompressiveTransformer', config);
    const { width, layers, memory } = config;
    const count = memory.compressed > 0 ? layers : 0;
    const each = Array.from({ length: count }, () => new Linear(memory.ratio * width, width, { init: meanOfRows }));
    super(
      config,
      count === 0 ? undefined : (features, parts, i) => new CompressiveLayer(features, parts, memory, each[i]!),
    );
    this.compressions = this.child('compressions', new ModuleList(each)).items;
  }

  /** f_c of a layer: `[B, n·c, width] → [B, n, width]`. */
  compress(layer: number, rows: Tensor): Tensor {
    commonDevice('model.compress', [rows]);
    checkValue('model.compress', 'layer', layer, wholeBetween(0, this.compressions.length - 1));
    return (this.stack.layers[layer] as CompressiveLayer).compress(rows);
  }
}
