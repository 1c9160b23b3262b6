import { expect, test } from 'vitest';
import type { Kernel } from '../../src/codegen/kernel.js';
import { eachColumn, writeColumns } from '../../src/kernels/transpose.js';
import { onEveryTarget } from '../support/targets.js';

/** Columns below, at, between and above whole squares of every width; rows further apart than their columns. */
const shapes = [1, 3, 4, 15, 16, 17, 37].map((columns) => ({ columns, pitch: columns + 5 }));
const LINE = 16;
const SIZE = 16 * 42;

const there: Kernel = {
  name: 'rows to columns',
  key: '',
  parameters: shapes.flatMap(() => ['pointer', 'pointer'] as const),
  cpu: (k) =>
    shapes.forEach(({ columns, pitch }, n) => {
      const [rows, lines] = [k.parameter(2 * n, 'pointer'), k.parameter(2 * n + 1, 'pointer')];
      eachColumn(k, { rows, pitch: 4 * pitch, columns }, (c, i, lanes) =>
        k.store(k.offset(lines, c, 4 * LINE), lanes, 4 * LINE * i),
      );
    }),
};
const back = (adds: boolean): Kernel => ({
  name: 'columns to rows',
  key: String(adds),
  parameters: there.parameters,
  cpu: (k) =>
    shapes.forEach(({ columns, pitch }, n) => {
      const [rows, lines] = [k.parameter(2 * n, 'pointer'), k.parameter(2 * n + 1, 'pointer')];
      writeColumns(
        k,
        { rows, pitch: 4 * pitch, columns },
        (c, i) => k.loadVF(k.offset(lines, c, 4 * LINE), 4 * LINE * i),
        adds ? (value, old) => k.sub(value, k.mul(old, k.constant('vf', 2))) : undefined,
      );
    }),
});
const backs = [back(false), back(true)];

onEveryTarget((target) => {
  const { width } = target;
  const count = (n: number): Float32Array => Float32Array.from({ length: SIZE }, (_, i) => 1000 * n + i);

  test('rows become columns', () => {
    const [rows, lines] = [shapes.map((_, n) => count(n)), shapes.map(() => new Float32Array(SIZE).fill(-1))];
    target.run(
      there,
      shapes.flatMap((_, n) => [rows[n]!, lines[n]!]),
    );
    shapes.forEach(({ columns, pitch }, n) => {
      const want = new Float32Array(SIZE).fill(-1);
      for (let r = 0; r < width; r++) for (let c = 0; c < columns; c++) want[LINE * c + r] = 1000 * n + pitch * r + c;
      expect(lines[n], `${columns} columns`).toEqual(want);
    });
  });

  test.each([
    ['columns become rows, and nothing between them is touched', 0],
    ['what stood there may count', 2],
  ])('%s', (_, weight) => {
    const [rows, lines] = [shapes.map(() => new Float32Array(SIZE).fill(-1)), shapes.map((_, n) => count(n))];
    target.run(
      backs[weight === 0 ? 0 : 1]!,
      shapes.flatMap((_, n) => [rows[n]!, lines[n]!]),
    );
    shapes.forEach(({ columns, pitch }, n) => {
      const want = new Float32Array(SIZE).fill(-1);
      for (let r = 0; r < width; r++)
        for (let c = 0; c < columns; c++) want[pitch * r + c] = 1000 * n + LINE * c + r + weight;
      expect(rows[n], `${columns} columns`).toEqual(want);
    });
  });
});
