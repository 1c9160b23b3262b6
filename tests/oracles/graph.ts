import { filled, Matrix, reordered, turned } from './matrix.js';
import { Tape, type Arrived, type Gradient } from './tape.js';

export { Matrix } from './matrix.js';
export * from './problem.js';

type Round = (x: number) => number;
/** A function of one element; `r` rounds what one operation gives, for those that want to round inside too. */
export type Elementwise = (x: number, r: Round, i: number, j: number) => number;
export type Allowed = (i: number, j: number) => boolean;

/**
 * A naive matrix calculator that remembers how to differentiate what it computed. An oracle is written once against it and run
 * in float64, and in plain float32 where every operation is rounded. `order` other than 0 sums in another order, recomputes
 * softmax weights from the rows' logsumexp in the backward pass and differentiates normalised rows in closed form as fused code does,
 * sums over all heads that share keys in one go (every other two), rounds products and sums at once (every other four), and begins sums
 * with a bias (every other eight): the error of float32 code is the largest over several orders.
 */
export class Graph extends Tape {
  /** Softmax weights as the backward pass of fused code computes them again. */
  readonly #again = new Map<Matrix, Matrix>();

  /** a·b */
  matmul(a: Matrix, b: Matrix): Matrix {
    this.#fit('matmul', a.columns === b.rows, a, b);
    const out = this.#product(a, turned(b));
    const again = this.#again.get(a);
    return this.record(out, [a, b], (d, arrived) => {
      // fused code takes Σ_j weights_ij·(d·bᵀ)_ij from what it saved, as d_i·out_i (Dao 2023, arXiv:2307.08691, section 3)
      if (again !== undefined && this.order % 2 === 1) this.noteMean(a, this.#rowDots(d, out));
      return [[a, this.#product(d, b).data], this.#runningProduct(b, turned(again ?? a), turned(d), arrived)];
    });
  }

  /** a·bᵀ */
  matmulT(a: Matrix, b: Matrix): Matrix {
    this.#fit('matmulT', a.columns === b.columns, a, b);
    return this.record(this.#product(a, b), [a, b], (d, arrived) => [
      [a, this.#product(d, turned(b)).data],
      this.#runningProduct(b, turned(d), turned(a), arrived),
    ]);
  }

  /** x·w + bias, or x·wᵀ + bias; in some orders sums begin with the bias, as they do in fused code. */
  affine(x: Matrix, w: Matrix, bias: Matrix, { transposed = false } = {}): Matrix {
    const after = this.add(transposed ? this.matmulT(x, w) : this.matmul(x, w), bias);
    if (this.order % 16 < 8) return after;
    const first = filled(x.rows, bias.columns, (_, j) => bias.at(0, j));
    const out = this.#product(x, transposed ? w : turned(w), first.data);
    return this.record(out, [after], (d) => [[after, d.data]]);
  }

  transpose(a: Matrix): Matrix {
    return this.record(turned(a), [a], (d) => [[a, turned(d).data]]);
  }

  add(a: Matrix, b: Matrix): Matrix {
    return this.#pairwise('add', a, b, (x, y) => x + y, [() => 1, () => 1]);
  }

  sub(a: Matrix, b: Matrix): Matrix {
    return this.#pairwise('sub', a, b, (x, y) => x - y, [() => 1, () => -1]);
  }

  mul(a: Matrix, b: Matrix): Matrix {
    return this.#pairwise('mul', a, b, (x, y) => x * y, [(_, y) => y, (x) => x]);
  }

  div(a: Matrix, b: Matrix): Matrix {
    const r = this.round;
    return this.#pairwise('div', a, b, (x, y) => x / y, [(_, y) => r(1 / y), (x, y) => -r(r(x / y) / y)]);
  }

  scale(a: Matrix, c: number): Matrix {
    const factor = this.round(c);
    return this.map(
      a,
      (x) => factor * x,
      () => factor,
    );
  }

  /** f of every element; `df` is its derivative as a function of x. */
  map(a: Matrix, f: Elementwise, df: Elementwise): Matrix {
    const r = this.round;
    return this.record(
      filled(a.rows, a.columns, (i, j) => r(f(a.at(i, j), r, i, j))),
      [a],
      (d) => [[a, filled(a.rows, a.columns, (i, j) => r(d.at(i, j) * r(df(a.at(i, j), r, i, j)))).data]],
    );
  }

  exp(a: Matrix): Matrix {
    return this.map(a, Math.exp, Math.exp);
  }

  log(a: Matrix): Matrix {
    return this.map(a, Math.log, (x) => 1 / x);
  }

  /** Of every row, over what is allowed; a row with nothing allowed gives zeros, and what is not allowed is never read. */
  softmax(a: Matrix, allowed: Allowed = () => true): Matrix {
    const r = this.round;
    const out = filled(a.rows, a.columns, () => 0);
    const again = filled(a.rows, a.columns, () => 0);
    for (let i = 0; i < a.rows; i++) {
      const keys = Array.from(this.sequence(a.columns)).filter((j) => allowed(i, j));
      const top = keys.reduce((most, j) => Math.max(most, a.at(i, j)), -Infinity);
      const powers = keys.map((j) => r(Math.exp(r(a.at(i, j) - top))));
      const sum = powers.reduce((total, power) => r(total + power), 0);
      const logsumexp = r(top + r(Math.log(sum)));
      keys.forEach((j, n) => {
        out.data[i * a.columns + j] = r(powers[n]! / sum);
        again.data[i * a.columns + j] = r(Math.exp(r(a.at(i, j) - logsumexp)));
      });
    }
    const result = this.record(out, [a], (d) => {
      const weights = this.#again.get(result) ?? out;
      const mean =
        this.notedMean(result) ??
        this.#rowSums(filled(a.rows, a.columns, (i, j) => weighted(r, weights.at(i, j), d.at(i, j))));
      return [[a, filled(a.rows, a.columns, (i, j) => weighted(r, weights.at(i, j), r(d.at(i, j) - mean[i]!))).data]];
    });
    if (this.order !== 0) this.#again.set(result, again);
    return result;
  }

  /** Zeros where it is not allowed, whatever stands there. */
  mask(a: Matrix, allowed: Allowed): Matrix {
    const masked = (x: Matrix): Matrix => filled(a.rows, a.columns, (i, j) => (allowed(i, j) ? x.at(i, j) : 0));
    return this.record(masked(a), [a], (d) => [[a, masked(d).data]]);
  }

  /** `[m×1]` */
  rowSum(a: Matrix): Matrix {
    return this.record(new Matrix(a.rows, 1, this.#rowSums(a), true), [a], (d) => [
      [a, filled(a.rows, a.columns, (i) => d.at(i, 0)).data],
    ]);
  }

  /** `[1×n]` */
  columnSum(a: Matrix): Matrix {
    return this.transpose(this.rowSum(this.transpose(a)));
  }

  /** `[m×1]` */
  rowMean(a: Matrix): Matrix {
    return this.scale(this.rowSum(a), 1 / a.columns);
  }

  /** `[m×1]`; the gradient goes to the first element that has the value. */
  rowMax(a: Matrix): Matrix {
    const best = Array.from({ length: a.rows }, (_, i) => {
      let place = 0;
      for (let j = 1; j < a.columns; j++) if (a.at(i, j) > a.at(i, place)) place = j;
      return place;
    });
    return this.record(
      filled(a.rows, 1, (i) => a.at(i, best[i]!)),
      [a],
      (d) => [[a, filled(a.rows, a.columns, (i, j) => (best[i] === j ? d.at(i, 0) : 0)).data]],
    );
  }

  /** (x − mean)/√(variance + ε) of every row, or x/√(mean of squares + ε). */
  normalise(x: Matrix, centre: boolean, epsilon: number): Matrix {
    const middle = centre ? this.sub(x, this.rowMean(x)) : x;
    const variance = this.rowMean(this.mul(middle, middle));
    const deviation = this.map(
      variance,
      (v, r) => r(Math.sqrt(r(v + epsilon))),
      (v, r) => r(0.5 / r(Math.sqrt(r(v + epsilon)))),
    );
    if (this.order % 2 === 0) return this.div(middle, deviation);
    // dx = (d − mean(d) − y·mean(d·y))/deviation (Ba et al. 2016, arXiv:1607.06450, differentiated), by a factor for each row
    const r = this.round;
    const factor = filled(x.rows, 1, (i) => r(1 / deviation.at(i, 0)));
    const out = filled(x.rows, x.columns, (i, j) => r(middle.at(i, j) * factor.at(i, 0)));
    const means = (a: Matrix): Float64Array => this.#rowSums(a).map((sum) => r(sum / x.columns));
    return this.record(out, [x], (d) => {
      const along = means(filled(x.rows, x.columns, (i, j) => r(d.at(i, j) * out.at(i, j))));
      const level = centre ? means(d) : undefined;
      const rest = (i: number, j: number): number => {
        const own = r(d.at(i, j) - r(out.at(i, j) * along[i]!));
        return level ? r(own - level[i]!) : own;
      };
      return [[x, filled(x.rows, x.columns, (i, j) => r(rest(i, j) * factor.at(i, 0))).data]];
    });
  }

  /** Row n of the result is row `indices[n]`; zeros for an index below 0. */
  gatherRows(a: Matrix, indices: ArrayLike<number>): Matrix {
    const r = this.round;
    const out = filled(indices.length, a.columns, (n, j) => (indices[n]! < 0 ? 0 : a.at(indices[n]!, j)));
    return this.record(out, [a], (d) => {
      const sum = new Float64Array(a.data.length);
      for (let n = 0; n < indices.length; n++) {
        if (indices[n]! < 0) continue;
        for (let j = 0; j < a.columns; j++) {
          const at = indices[n]! * a.columns + j;
          sum[at] = r(sum[at]! + d.at(n, j));
        }
      }
      return [[a, sum]];
    });
  }

  /** The rows of all, one below the other. */
  concatRows(parts: readonly Matrix[]): Matrix {
    const first = parts[0]!;
    for (const part of parts) this.#fit('concatRows', part.columns === first.columns, first, part);
    const rows = parts.reduce((sum, part) => sum + part.rows, 0);
    const out = new Matrix(rows, first.columns, new Float64Array(rows * first.columns), true);
    const starts = parts.map((_, n) => parts.slice(0, n).reduce((sum, part) => sum + part.data.length, 0));
    parts.forEach((part, n) => out.data.set(part.data, starts[n]));
    return this.record(out, parts, (d) =>
      parts.map((part, n) => [part, d.data.slice(starts[n], starts[n]! + part.data.length)]),
    );
  }

  concatColumns(parts: readonly Matrix[]): Matrix {
    return this.transpose(this.concatRows(parts.map((part) => this.transpose(part))));
  }

  /** Rows `start … end − 1`. */
  rows(a: Matrix, start: number, end: number): Matrix {
    return this.gatherRows(
      a,
      Array.from({ length: end - start }, (_, n) => start + n),
    );
  }

  columns(a: Matrix, start: number, end: number): Matrix {
    return this.transpose(this.rows(this.transpose(a), start, end));
  }

  /** x·yᵀ */
  #product(x: Matrix, y: Matrix, start?: Float64Array): Matrix {
    const K = x.columns;
    const sequence = this.sequence(K);
    const [a, b] = this.order === 0 ? [x, y] : [reordered(x, sequence), reordered(y, sequence)];
    const columns = y.rows;
    const { dot, fusedDot = dot } = this.arithmetic;
    const sum = this.order % 8 > 3 ? fusedDot : dot;
    return filled(x.rows, columns, (i, j) => sum(a.data, i * K, b.data, j * K, K, start?.[i * columns + j]));
  }

  /** A gradient that is a sum over rows. Heads that share keys add to it one by one, or go on with one long sum, by the order. */
  #runningProduct(to: Matrix, x: Matrix, y: Matrix, arrived: Arrived): Gradient {
    const before = this.order % 4 > 1 ? arrived(to) : undefined;
    return [to, this.#product(x, y, before).data, before !== undefined];
  }

  #rowDots(a: Matrix, b: Matrix): Float64Array {
    return this.#rowSums(filled(a.rows, a.columns, (i, j) => this.round(a.at(i, j) * b.at(i, j))));
  }

  #rowSums(a: Matrix, start?: Float64Array): Float64Array {
    const sequence = this.sequence(a.columns);
    return Float64Array.from({ length: a.rows }, (_, i) =>
      sequence.reduce((sum, j) => this.round(sum + a.at(i, j)), start?.[i] ?? 0),
    );
  }

  #pairwise(
    who: string,
    a: Matrix,
    b: Matrix,
    f: (x: number, y: number) => number,
    slopes: readonly [(x: number, y: number) => number, (x: number, y: number) => number],
  ): Matrix {
    const r = this.round;
    const fits = (m: number, n: number): boolean => m === n || m === 1 || n === 1;
    this.#fit(who, fits(a.rows, b.rows) && fits(a.columns, b.columns), a, b);
    const [rows, columns] = [a, b].some(({ data }) => data.length === 0)
      ? [Math.min(a.rows, b.rows), Math.min(a.columns, b.columns)]
      : [Math.max(a.rows, b.rows), Math.max(a.columns, b.columns)];
    const element = (x: Matrix, i: number, j: number): number => x.at(x.rows === 1 ? 0 : i, x.columns === 1 ? 0 : j);
    const gradient = (to: Matrix, slope: (x: number, y: number) => number, d: Matrix, arrived: Arrived): Gradient => {
      if (!to.tracked) return [to, d.data];
      const each = filled(rows, columns, (i, j) => r(d.at(i, j) * slope(element(a, i, j), element(b, i, j))));
      const tall = to.columns === columns ? each : new Matrix(rows, 1, this.#rowSums(each), false);
      if (to.rows === rows) return [to, tall.data];
      const before = this.order % 4 > 1 ? arrived(to) : undefined;
      return [to, this.#rowSums(turned(tall), before), before !== undefined];
    };
    return this.record(
      filled(rows, columns, (i, j) => r(f(element(a, i, j), element(b, i, j)))),
      [a, b],
      (d, arrived) => [gradient(a, slopes[0], d, arrived), gradient(b, slopes[1], d, arrived)],
    );
  }

  #fit(who: string, fits: boolean, a: Matrix, b: Matrix): void {
    if (!fits) throw new Error(`graph: ${who} of [${a.rows} × ${a.columns}] and [${b.rows} × ${b.columns}]`);
  }
}

/** A weight of 0 hides what it multiplies, even NaN: softmax never reads what is not allowed. */
const weighted = (r: Round, weight: number, x: number): number => (weight === 0 ? 0 : r(weight * x));
