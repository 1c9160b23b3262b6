/** How often which class was taken for which: `matrix[target][prediction]`. */
export interface ClassScores {
  readonly accuracy: number;
  /** The mean of `2·TP / (2·TP + FP + FN)` over the classes that were a target or a prediction. */
  readonly macroF1: number;
  readonly matrix: readonly (readonly number[])[];
}

/** Counts predictions of classes. */
export class Confusion {
  readonly #counts: number[][];

  constructor(classes: number) {
    this.#counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  }

  add(predictions: ArrayLike<number>, targets: ArrayLike<number>): void {
    for (let i = 0; i < targets.length; i++) this.#counts[targets[i]!]![predictions[i]!]!++;
  }

  scores(): ClassScores {
    const matrix = this.#counts.map((row) => [...row]);
    const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
    const hits = matrix.map((row, i) => row[i]!);
    // of each class: targets and predictions together
    const asked = matrix.map((row, i) => sum(row) + sum(matrix.map((other) => other[i]!)));
    const each = hits.flatMap((count, i) => (asked[i] === 0 ? [] : [(2 * count) / asked[i]!]));
    return { accuracy: sum(hits) / sum(matrix.map(sum)), macroF1: sum(each) / each.length, matrix };
  }
}
