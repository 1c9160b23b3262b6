import type { Initialiser } from '../attention/index.js';
import type { FloatDtype } from '../core/dtype.js';
import { checkValue, wholeBetween } from '../core/requirements.js';
import { Linear, ModuleList } from '../nn/index.js';
import { Moment } from '../nn/moment.js';
import { attend, cast, concat, detach, mean, reshape, split, square, sub } from '../ops/index.js';
import { commonDevice, noGradient, records, scope, type Tensor } from '../tensor/index.js';
import type { ModelConfig } from './config.js';
import { countRows, rowsBetween, type LayerMemory } from './memory.js';
import { TransformerXl, type Carried } from './transformer-xl.js';

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
    super(config);
    const { width, layers, memory } = config;
    const count = memory.compressed > 0 ? layers : 0;
    const each = Array.from({ length: count }, () => new Linear(memory.ratio * width, width, { init: meanOfRows }));
    this.compressions = this.child('compressions', new ModuleList(each)).items;
  }

  /** f_c of a layer: `[B, n·c, width] → [B, n, width]`. */
  compress(layer: number, rows: Tensor): Tensor {
    commonDevice('model.compress', [rows]);
    checkValue('model.compress', 'layer', layer, wholeBetween(0, this.compressions.length - 1));
    const [B, count, width] = rows.shape as [number, number, number];
    const { ratio } = this.config.memory;
    return scope(() => this.compressions[layer]!.forward(reshape(rows, [B, count / ratio, ratio * width])));
  }

  protected override carry(index: number, before: LayerMemory, x: Tensor): Carried {
    const { length, compressed: most, ratio } = this.config.memory;
    if (most === 0) return super.carry(index, before, x);
    const parts = [before.recent, x];
    const leaving = ratio * Math.floor(Math.max(0, countRows(parts) - length) / ratio);
    const recent = rowsBetween(parts, leaving);
    const old = rowsBetween(parts, 0, leaving);
    if (old === undefined) return { memory: { recent, compressed: rowsBetween([before.compressed], 0) } };
    const small = this.compress(index, old);
    const kept = [before.compressed, small];
    return {
      memory: { recent, compressed: rowsBetween(kept, countRows(kept) - most) },
      auxiliary: records([small]) ? this.#reconstruction(index, x, old, small) : undefined,
    };
  }

  #reconstruction(index: number, x: Tensor, old: Tensor, small: Tensor): Tensor {
    const layer = this.stack.layers[index]!;
    const fixed = new Moment([layer]);
    return scope(() =>
      fixed.during(
        fixed.values.map((value) => detach(value)),
        () => {
          const [rows, before, after] = [x, old, small].map((one) => layer.given(one, one.dtype as FloatDtype));
          const { q, k, v } = layer.attention.project(rows!, { source: concat([before!, after!], { axis: 1 }) });
          const counts = [old.shape[1]!, small.shape[1]!];
          const [keys, values] = [k, v].map((one) => split(one, counts, { axis: 2 })) as [Tensor[], Tensor[]];
          const want = noGradient(() => attend(q, keys[0]!, values[0]!).out);
          const got = attend(q, keys[1]!, values[1]!).out;
          return mean(square(sub(cast(got, 'f32'), cast(want, 'f32'))));
        },
      ),
    );
  }
}
