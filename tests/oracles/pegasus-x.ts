import { activated, affine, normalised } from '../nn/formulas.js';
import type { ActivationName } from '../../src/nn/index.js';
import type { Weights } from './decoder.js';
import type { Graph, Matrix } from './graph.js';

export interface PegasusXSizes {
  readonly width: number;
  readonly encoderHeads: number;
  readonly decoderHeads: number;
  readonly encoderLayers: number;
  readonly decoderLayers: number;
  readonly block: number;
  readonly activation: ActivationName;
}

export interface PegasusXResult {
  readonly encoder: readonly Matrix[];
  readonly decoder: readonly Matrix[];
  readonly logits: Matrix;
}

const EPSILON = 1e-5;

/**
 * Sources and what follows them, one at a time: tokens of a block see each other and the global rows, which see all and go through the layers
 * beside them. In odd layers blocks begin half a block earlier. (Phang, Zhao, Liu 2022, arXiv 2208.04347, section 3.)
 */
export class PegasusXOracle {
  readonly #matrices = new Map<string, Matrix>();

  constructor(
    readonly g: Graph,
    readonly sizes: PegasusXSizes,
    readonly weights: Weights,
  ) {}

  run(source: readonly number[], tokens: readonly number[]): PegasusXResult {
    const { g, sizes } = this;
    let x = this.#embedded(source);
    let globals = this.#of('model.encoder.embed_global.weight');
    const encoder = [x];
    for (let i = 0; i < sizes.encoderLayers; i++) {
      [x, globals] = this.#encoderLayer(i, x, globals);
      encoder.push(x);
    }
    const encoded = this.#norm('model.encoder.layer_norm', x);
    let y = this.#embedded(tokens);
    const decoder = [y];
    for (let i = 0; i < sizes.decoderLayers; i++) {
      y = this.#decoderLayer(i, y, encoded);
      decoder.push(y);
    }
    const last = this.#norm('model.decoder.layer_norm', y);
    return {
      encoder: [...encoder.slice(0, -1), encoded],
      decoder: [...decoder.slice(0, -1), last],
      logits: g.matmulT(last, this.#of('model.shared.weight')),
    };
  }

  /** Rows times √width, and sines then cosines of angles from 1 to 1/10000. */
  #embedded(tokens: readonly number[]): Matrix {
    const { g } = this;
    const { width } = this.sizes;
    const half = width / 2;
    const angle = (p: number, c: number): number => p * Math.exp((-c * Math.log(10000)) / (half - 1));
    const places = tokens.flatMap((_, p) =>
      Array.from({ length: width }, (__, c) => (c < half ? Math.sin(angle(p, c)) : Math.cos(angle(p, c - half)))),
    );
    const rows = g.scale(g.gatherRows(this.#of('model.shared.weight'), tokens), Math.sqrt(width));
    return g.add(rows, g.input(places, tokens.length, width));
  }

  #encoderLayer(i: number, x: Matrix, globals: Matrix): [Matrix, Matrix] {
    const { g } = this;
    const { block, encoderHeads } = this.sizes;
    const at = `model.encoder.layers.${i}`;
    const rows = this.#norm(`${at}.self_attn_layer_norm`, x);
    const own = this.#norm(`${at}.global_self_attn_layer_norm`, globals);
    const ahead = i % 2 === 1 ? Math.floor(block / 2) : 0;
    const all = g.concatRows([own, rows]);
    const count = own.rows;
    const sees = (a: number, b: number): boolean =>
      b < count || Math.floor((a + ahead) / block) === Math.floor((b - count + ahead) / block);
    const attend = (queries: Matrix, allowed: (a: number, b: number) => boolean): Matrix =>
      this.#attention(`${at}.self_attn`, [queries, all], encoderHeads, allowed);
    const after = g.add(x, attend(rows, sees));
    const afterGlobal = g.add(
      globals,
      attend(own, () => true),
    );
    return [this.#fed(at, after), this.#fed(at, afterGlobal)];
  }

  #decoderLayer(i: number, x: Matrix, encoded: Matrix): Matrix {
    const { g } = this;
    const { decoderHeads } = this.sizes;
    const at = `model.decoder.layers.${i}`;
    const rows = this.#norm(`${at}.self_attn_layer_norm`, x);
    const seen = g.add(
      x,
      this.#attention(`${at}.self_attn`, [rows, rows], decoderHeads, (a, b) => b <= a),
    );
    const asking = this.#norm(`${at}.encoder_attn_layer_norm`, seen);
    const read = g.add(
      seen,
      this.#attention(`${at}.encoder_attn`, [asking, encoded], decoderHeads, () => true),
    );
    return this.#fed(at, read);
  }

  #fed(at: string, x: Matrix): Matrix {
    const { g } = this;
    const hidden = activated(
      g,
      this.sizes.activation,
      this.#linear(`${at}.fc1`, this.#norm(`${at}.final_layer_norm`, x)),
    );
    return g.add(x, this.#linear(`${at}.fc2`, hidden));
  }

  #attention(
    at: string,
    [queries, keys]: readonly [Matrix, Matrix],
    heads: number,
    allowed: (a: number, b: number) => boolean,
  ): Matrix {
    const { g } = this;
    const D = this.sizes.width / heads;
    const [q, k, v] = [
      this.#linear(`${at}.q_proj`, queries),
      this.#linear(`${at}.k_proj`, keys),
      this.#linear(`${at}.v_proj`, keys),
    ];
    const outs = Array.from({ length: heads }, (_, h) => {
      const head = (of: Matrix): Matrix => g.columns(of, h * D, (h + 1) * D);
      return g.matmul(g.softmax(g.scale(g.matmulT(head(q), head(k)), D ** -0.5), allowed), head(v));
    });
    return this.#linear(`${at}.out_proj`, g.concatColumns(outs));
  }

  /** `x·Wᵀ + b` of a layer's `[out, in]`; projections of attention have no biases. */
  #linear(name: string, x: Matrix): Matrix {
    const bias = this.weights.has(`${name}.bias`) ? this.#of(`${name}.bias`) : undefined;
    return affine(this.g, x, this.g.transpose(this.#of(`${name}.weight`)), bias);
  }

  #norm(name: string, x: Matrix): Matrix {
    const { g } = this;
    return g.add(g.mul(normalised(g, x, true, EPSILON), this.#of(`${name}.weight`)), this.#of(`${name}.bias`));
  }

  #of(name: string): Matrix {
    const known = this.#matrices.get(name);
    if (known) return known;
    const { shape, data } = this.weights.get(name)!;
    const columns = shape.at(-1)!;
    const made = this.g.input(data, data.length / columns, columns);
    this.#matrices.set(name, made);
    return made;
  }
}
