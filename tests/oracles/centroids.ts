import type { Matrix } from './matrix.js';

/** Rows of a matrix without their mean, divided by √(variance + 1e-5) (Ba, Kiros, Hinton 2016); the first `length`. */
export const directions = (x: Matrix, length: number): number[][] =>
  Array.from({ length }, (_, i) => {
    const row = Array.from({ length: x.columns }, (_c, c) => x.at(i, c));
    const mean = row.reduce((a, b) => a + b) / row.length;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length;
    return row.map((value) => (value - mean) / Math.sqrt(variance + 1e-5));
  });

/** x·μ_c of every row of `directions` with every centroid: `[c][i]`. */
export const nearness = (rows: readonly (readonly number[])[], centroids: Matrix): number[][] =>
  Array.from({ length: centroids.rows }, (_, c) =>
    rows.map((row) => row.reduce((sum, value, d) => sum + value * centroids.at(c, d), 0)),
  );

/** The nearest centroid of each row; of several the first. */
export const nearest = (scores: readonly (readonly number[])[]): number[] =>
  scores[0]!.map((_, i) => {
    const own = scores.map((row) => row[i]!);
    return own.indexOf(Math.max(...own));
  });
