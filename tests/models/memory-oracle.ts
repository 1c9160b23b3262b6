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
  /** The type of each token of the segment; of the memory they are 0. */
  types: readonly number[] | undefined;

  segment(tokens: readonly number[], targets: readonly number[], given: readonly RowsBefore[] = []): OracleSegment {
    const { hidden, ...rest } = this.rows(tokens, given);
    return { hidden, loss: this.lossAt(hidden, targets), ...rest };
  }

  rows(tokens: readonly number[], given: readonly RowsBefore[] = []): Omit<OracleSegment, 'loss'> {
    const { g, config } = this;
    const { initial, length } = config.memory;
    const zeros = (): RowsBefore => ({
      recent: g.constant(new Array<number>(length * config.width).fill(0), length, config.width),
    });
    const memories = initial && given.length === 0 ? Array.from({ length: config.layers }, zeros) : given;
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
    return { hidden, auxiliary, memories: next };
  }

  #given(layer: number, rows: Matrix): Matrix {
    return this.norm(`${this.at(layer)}.attentionResidual.norm`, rows, this.config.norm.place === 'pre');
  }

  /** `softmax(((q + u)·k + (q + v)·(W_R R_t)) / √D)·v`, t the distance, in every head. */
  #attention(layer: number, rows: Matrix, source: Matrix): Matrix {
    const { g, config } = this;
    const { headDim, position, bias, mechanism } = config;
    const name = `${this.at(layer)}.attention`;
    const [L, S] = [rows.rows, source.rows];
    const most = position.method === 'transformer-xl' ? (position.clamp ?? Infinity) : Infinity;
    const { causalWindow, radius: own = Infinity } = mechanism.options;
    const radius = Number(causalWindow ? Number(causalWindow) - 1 : own);
    const both = config.kind === 'xlnet';
    const M = this.parameter(`${name}.weight`).columns;
    const half = M / 2;
    const wave = (t: number, c: number): number =>
      (c < half ? Math.sin : Math.cos)(Math.min(t, most) / 10000 ** ((c % half) / half));
    // from the farthest key after a query to the farthest before one
    const after = both ? L - 1 : 0;
    const distances = g.constant(
      Array.from({ length: (S + after) * M }, (_, n) => wave(Math.floor(n / M) - after, n % M)),
      S + after,
      M,
    );
    const { types } = this;
    const typeOf = (row: number): number => types![row - (S - L)] ?? 0;
    const outs = this.projected(name, rows, source).map(([q, k, v], h) => {
      const shared = (which: string) =>
        position.method === 'transformer-xl' && position.shared && /^(content|position)Bias/.test(which);
      const of = (which: string): Matrix =>
        g.rows(this.parameter(shared(which) ? `${this.stack}.positions.${which}` : `${name}.${which}`), h, h + 1);
      const waves = g.rows(this.parameter(`${name}.weight`), h * headDim, (h + 1) * headDim);
      const content = g.matmulT(g.add(q, of('contentBias')), k);
      const along = g.matmulT(g.add(q, of('positionBias')), g.matmulT(distances, waves));
      const placed = Array.from({ length: L }, (_, i) => {
        const each = Array.from({ length: S }, (__, j) => Math.max(0, i + S - L - j + after));
        return g.transpose(g.gatherRows(g.transpose(g.rows(along, i, i + 1)), each));
      });
      const share = (which: string, alike: boolean): Matrix =>
        g.mul(
          g.matmul(g.matmulT(g.add(q, of('othersBias')), of(which)), g.constant(new Array<number>(S).fill(1), 1, S)),
          g.constant(
            Array.from({ length: L * S }, (_, n) =>
              Number((typeOf(Math.floor(n / S) + S - L) === typeOf(n % S)) === alike),
            ),
            L,
            S,
          ),
        );
      const apart = types ? [share('others', true), share('different', false)] : [];
      const sums = [g.concatRows(placed), ...apart].reduce((sum, one) => g.add(sum, one), content);
      const scores = g.scale(sums, 1 / Math.sqrt(headDim));
      const weights = g.softmax(scores, (i, j) => both || (j <= i + S - L && i + S - L - j <= radius));
      return g.matmul(weights, v);
    });
    const out = bias ? this.parameter(`${name}.out.bias`) : undefined;
    return affine(g, g.concatColumns(outs), this.parameter(`${name}.out.weight`), out);
  }

  /** What a layer has after the segment, and how badly what left can be told from what was compressed. */
  #remembered(layer: number, before: RowsBefore, x: Matrix): [RowsBefore, Matrix | undefined] {
    const { g } = this;
    const { length, compressed: most, ratio, reuse = x.rows } = this.config.memory;
    const rows = g.rows(x, 0, Math.min(reuse, x.rows));
    const all = before.recent ? g.concatRows([before.recent, rows]) : rows;
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
