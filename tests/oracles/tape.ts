import { generator } from '../support/random.js';
import { double, type Arithmetic } from './arithmetic.js';
import { Matrix } from './matrix.js';

/** What later uses of a matrix have added to its gradient. */
export type Arrived = (of: Matrix) => Float64Array | undefined;

/** A part of a matrix' gradient; with `whole`, what had arrived is in it. */
export type Gradient = readonly [to: Matrix, gradient: Float64Array, whole?: boolean];

interface Entry {
  readonly out: Matrix;
  readonly backward: (d: Matrix, arrived: Arrived) => readonly Gradient[];
}

/** Remembers how matrices were computed, and goes back through it. */
export class Tape {
  readonly #tape: Entry[] = [];
  readonly #orders = new Map<number, Int32Array>();
  readonly #uses = new Map<Matrix, number>();
  readonly #means = new Map<Matrix, { sum: Float64Array; uses: number }>();
  readonly round: Arithmetic['round'];

  constructor(
    readonly arithmetic: Arithmetic = double,
    readonly order = 0,
  ) {
    this.round = arithmetic.round;
  }

  input(data: ArrayLike<number>, rows: number, columns: number): Matrix {
    return new Matrix(rows, columns, this.rounded(data, rows, columns), true);
  }

  constant(data: ArrayLike<number>, rows: number, columns: number): Matrix {
    return new Matrix(rows, columns, this.rounded(data, rows, columns), false);
  }

  /** The same numbers, without gradient. */
  detach(a: Matrix): Matrix {
    return new Matrix(a.rows, a.columns, a.data, false);
  }

  /** `Σ_o ⟨cotangents[o], ∂outputs[o]/∂inputs[i]⟩`; zeros for an input that nothing depends on. */
  gradients(
    outputs: readonly Matrix[],
    cotangents: readonly ArrayLike<number>[],
    inputs: readonly Matrix[],
  ): Float64Array[] {
    this.#means.clear();
    const arrived = new Map<Matrix, Float64Array>();
    const add = (to: Matrix, gradient: ArrayLike<number>, whole = false): void => {
      if (!to.tracked) return;
      const before = whole ? undefined : arrived.get(to);
      arrived.set(to, before ? before.map((x, n) => this.round(x + gradient[n]!)) : Float64Array.from(gradient));
    };
    outputs.forEach((output, n) => {
      this.rounded(cotangents[n]!, output.rows, output.columns);
      add(output, cotangents[n]!);
    });
    for (const { out, backward } of [...this.#tape].reverse()) {
      const d = arrived.get(out);
      if (!d) continue;
      const gradients = backward(new Matrix(out.rows, out.columns, d, false), (of) => arrived.get(of));
      for (const gradient of gradients) add(...gradient);
    }
    return inputs.map((input) => arrived.get(input) ?? new Float64Array(input.data.length));
  }

  /** A result that remembers what its inputs' gradients are for its own. */
  protected record({ rows, columns, data }: Matrix, inputs: readonly Matrix[], backward: Entry['backward']): Matrix {
    const out = new Matrix(
      rows,
      columns,
      data,
      inputs.some(({ tracked }) => tracked),
    );
    if (!out.tracked) return out;
    this.#tape.push({ out, backward });
    for (const input of inputs) this.#uses.set(input, (this.#uses.get(input) ?? 0) + 1);
    return out;
  }

  /** Notes in the backward pass what one use of `weights` adds to `Σ_j weights_ij·d_ij`. */
  protected noteMean(weights: Matrix, part: Float64Array): void {
    const { sum, uses } = this.#means.get(weights) ?? { sum: new Float64Array(part.length), uses: 0 };
    this.#means.set(weights, { sum: sum.map((x, i) => this.round(x + part[i]!)), uses: uses + 1 });
  }

  /** `Σ_j weights_ij·d_ij`, if every use of the weights noted its part. */
  protected notedMean(weights: Matrix): Float64Array | undefined {
    const noted = this.#means.get(weights);
    return noted?.uses === this.#uses.get(weights) ? noted?.sum : undefined;
  }

  /** In which order `n` numbers are summed. */
  protected sequence(n: number): Int32Array {
    const known = this.#orders.get(n);
    if (known) return known;
    const sequence = Int32Array.from({ length: n }, (_, i) => i);
    const next = generator(7 * this.order + n);
    for (let i = n - 1; i > 0 && this.order !== 0; i--) {
      const j = Math.floor(next() * (i + 1));
      [sequence[i], sequence[j]] = [sequence[j]!, sequence[i]!];
    }
    this.#orders.set(n, sequence);
    return sequence;
  }

  protected rounded(data: ArrayLike<number>, rows: number, columns: number): Float64Array {
    if (data.length !== rows * columns)
      throw new Error(`graph: [${rows} × ${columns}] wants ${rows * columns} numbers; got ${data.length}`);
    return Float64Array.from(data, this.round);
  }
}
