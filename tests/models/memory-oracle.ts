import type { Matrix } from '../oracles/graph.js';
import { affine } from '../nn/formulas.js';
import { ModelOracle } from './oracle.js';

/** Inputs of one layer for the tokens before, without gradient. */
export interface RowsBefore {
  readonly recent?: Matrix | undefined;
  readonly compressed?: Matrix | undefined;
}

export interface OracleSegment {
  readonly hidden: Matrix;
  readonly loss: Matrix;
  /** Σ over the layers, where rows left the memory. */
  readonly auxiliary: Matrix | undefined;
  readonly memories: readonly RowsBefore[];
}

/** Segments of one text through the formulas of Transformer-XL and of the Compressive Transformer. */
export class MemoryOracle extends ModelOracle {
  segment(tokens: readonly number[], targets: readonly number[], memories: readonly RowsBefore[] = []): OracleSegment {
    const { g } = this;
    let x = this.embedded(tokens);
    let auxiliary: Matrix | undefined;
    const next: RowsBefore[] = [];
    for (let layer = 0; layer < this.config.layers; layer++) {
      const before = memories[layer] ?? {};
      const [memory, lost] = this.#remembered(layer, before, g.detach(x));
      next.push(memory);
      if (lost) auxiliary = auxiliary ? g.add(auxiliary, lost) : lost;
      const norm = `${this.at(layer)}.attentionResidual.norm`;
      const past = [before.compressed, before.recent].filter((rows) => rows !== undefined);
      const sees = (rows: Matrix): Matrix =>
        this.#attention(layer, rows, g.concatRows([...past.map((one) => this.#given(layer, one)), rows]));
      x = this.residual(norm, x, sees);
      x = this.residual(`${this.at(layer)}.feedForwardResidual.norm`, x, (y) => this.feedForward(layer, y));
    }
    const hidden = this.finished(x);
    return { hidden, loss: this.lossAt(hidden, targets), auxiliary, memories: next };
  }

  #given(layer: number, rows: Matrix): Matrix {
    return this.norm(`${this.at(layer)}.attentionResidual.norm`, rows, this.config.norm.place === 'pre');
  }

  /** `softmax(((q + u)·k + (q + v)·(W_R R_t)) / √D)·v`, t the distance, in every head. */
  #attention(layer: number, rows: Matrix, source: Matrix): Matrix {
    const { g, config } = this;
    const { headDim, width, position, bias, mechanism } = config;
    const name = `${this.at(layer)}.attention`;
    const [L, S] = [rows.rows, source.rows];
    const most = position.method === 'transformer-xl' ? (position.clamp ?? Infinity) : Infinity;
    const radius = mechanism.name === 'sliding-window' ? Number(mechanism.options['radius']) : Infinity;
    const half = width / 2;
    const wave = (t: number, c: number): number =>
      (c < half ? Math.sin : Math.cos)(Math.min(t, most) / 10000 ** ((c % half) / half));
    const distances = g.constant(
      Array.from({ length: S * width }, (_, n) => wave(Math.floor(n / width), n % width)),
      S,
      width,
    );
    const outs = this.projected(name, rows, source).map(([q, k, v], h) => {
      const of = (which: string): Matrix => g.rows(this.parameter(`${name}.${which}`), h, h + 1);
      const own = g.rows(this.parameter(`${name}.weight`), h * headDim, (h + 1) * headDim);
      const content = g.matmulT(g.add(q, of('contentBias')), k);
      const along = g.matmulT(g.add(q, of('positionBias')), g.matmulT(distances, own));
      const placed = Array.from({ length: L }, (_, i) => {
        const each = Array.from({ length: S }, (__, j) => i + S - L - j);
        return g.transpose(g.gatherRows(g.transpose(g.rows(along, i, i + 1)), each));
      });
      const scores = g.scale(g.add(content, g.concatRows(placed)), 1 / Math.sqrt(headDim));
      const weights = g.softmax(scores, (i, j) => j <= i + S - L && i + S - L - j <= radius);
      return g.matmul(weights, v);
    });
    const out = bias ? this.parameter(`${name}.out.bias`) : undefined;
    return affine(g, g.concatColumns(outs), this.parameter(`${name}.out.weight`), out);
  }

  /** What a layer has after the segment, and how badly what left can be told from what was compressed. */
  #remembered(layer: number, before: RowsBefore, x: Matrix): [RowsBefore, Matrix | undefined] {
    const { g } = this;
    const { length, compressed: most, ratio } = this.config.memory;
    const all = before.recent ? g.concatRows([before.recent, x]) : x;
    const excess = Math.max(0, all.rows - length);
    const leaving = most === 0 ? excess : excess - (excess % ratio);
    const recent = leaving < all.rows ? g.detach(g.rows(all, leaving, all.rows)) : undefined;
    if (most === 0 || leaving === 0) return [{ recent, compressed: before.compressed }, undefined];
    const old = g.detach(g.rows(all, 0, leaving));
    const name = `compressions.${layer}`;
    const place = (s: number): Matrix =>
      g.gatherRows(
        old,
        Array.from({ length: leaving / ratio }, (_, n) => n * ratio + s),
      );
    const beside = g.concatColumns(Array.from({ length: ratio }, (_, s) => place(s)));
    const small = affine(g, beside, this.parameter(`${name}.weight`), this.parameter(`${name}.bias`));
    const kept = g.detach(before.compressed ? g.concatRows([before.compressed, small]) : small);
    const compressed = g.detach(g.rows(kept, Math.max(0, kept.rows - most), kept.rows));
    return [{ recent, compressed }, this.#reconstruction(layer, x, old, small)];
  }

  #reconstruction(layer: number, x: Matrix, old: Matrix, small: Matrix): Matrix {
    const { g, config } = this;
    const fixed = new MemoryOracle(g, config, (name) => g.detach(this.parameter(name)), this.stack, true);
    const attended = (source: Matrix): Matrix =>
      g.concatColumns(
        fixed
          .projected(`${this.at(layer)}.attention`, fixed.#given(layer, x), fixed.#given(layer, source))
          .map(([q, k, v]) => g.matmul(g.softmax(g.scale(g.matmulT(q, k), 1 / Math.sqrt(config.headDim))), v)),
      );
    const difference = g.sub(attended(small), attended(old));
    return g.rowMean(g.transpose(g.rowMean(g.mul(difference, difference))));
  }
}
