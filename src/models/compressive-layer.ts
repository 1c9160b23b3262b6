import type { FloatDtype } from '../core/dtype.js';
import type { Attention, BlockOptions, Context, Linear, Module } from '../nn/index.js';
import { Moment } from '../nn/moment.js';
import { attend, cast, concat, detach, mean, reshape, split, square, sub } from '../ops/index.js';
import { noGradient, scope, type Tensor } from '../tensor/index.js';
import type { ModelConfig } from './config.js';
import { countRows, rowsBetween, type LayerMemory } from './memory.js';
import { RecurrentLayer, type Carried } from './recurrent-layer.js';

/** A layer of a Compressive Transformer; see there. */
export class CompressiveLayer extends RecurrentLayer {
  constructor(
    features: number,
    options: BlockOptions,
    protected readonly sizes: ModelConfig['memory'],
    /** f_c, which belongs to the model. */
    protected readonly compression: Linear,
  ) {
    super(features, options, sizes);
  }

  override get uses(): readonly Module[] {
    return [...super.uses, this.compression];
  }

  /** f_c: `[B, n·c, features] → [B, n, features]`. */
  compress(rows: Tensor): Tensor {
    const [B, count, features] = rows.shape as [number, number, number];
    const { ratio } = this.sizes;
    return scope(() => this.compression.forward(reshape(rows, [B, count / ratio, ratio * features])));
  }

  protected override carry(before: LayerMemory, x: Tensor, context: Context): Carried {
    const { length, compressed: most, ratio } = this.sizes;
    const parts = [before.recent, x];
    const leaving = ratio * Math.floor(Math.max(0, countRows(parts) - length) / ratio);
    const recent = rowsBetween(parts, leaving);
    const old = rowsBetween(parts, 0, leaving);
    if (old === undefined) return { memory: { recent, compressed: rowsBetween([before.compressed], 0) } };
    const small = this.compress(old);
    const kept = [before.compressed, small];
    return {
      memory: { recent, compressed: rowsBetween(kept, countRows(kept) - most) },
      ...(context.losses && { losses: { reconstruction: this.#reconstruction(x, old, small) } }),
    };
  }

  /** How far attention to the compressed rows is from that to the rows themselves; it moves f_c alone. */
  #reconstruction(x: Tensor, old: Tensor, small: Tensor): Tensor {
    const attention = this.mixer as Attention;
    const fixed = new Moment([this]);
    return scope(() =>
      fixed.during(
        fixed.values.map((value) => detach(value)),
        () => {
          const [rows, before, after] = [x, old, small].map((one) => this.given(one, one.dtype as FloatDtype));
          const { q, k, v } = attention.project(rows!, { source: concat([before!, after!], { axis: 1 }) });
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
