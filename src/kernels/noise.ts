import type { I32, VF, VI } from '../codegen/vector.js';
import { bytesPerElement, type FloatDtype } from '../core/dtype.js';
import { loadFloats, storeLanes } from './cast/convert.js';
import { typedKernel } from './typed-kernel.js';
import { philox } from './philox.js';

/** Columns that 16 blocks of random words serve: word j of block b is column 16·j + b, whatever the vector width. */
const GROUP = 64;
const BLOCKS = 16;

export interface NoiseSpec {
  readonly dtype: FloatDtype;
  /** `drop`: kept if the upper 31 bits of the word are below `keepBelow`, and multiplied by `factor`; `jitter`: times `1 ± factor`, uniformly. */
  readonly noise: 'drop' | 'jitter';
}

/** Every element of rows `[rows, length]` by its own random word: that of the Philox counter `(column block, row, purpose)`. */
export const noiseKernel = typedKernel({
  name: 'noise',
  key: ({ dtype, noise }: NoiseSpec) => `${noise} ${dtype}`,
  parameters: {
    x: 'pointer',
    y: 'pointer',
    rows: 'i32',
    length: 'i32',
    perTask: 'i32',
    firstRow: 'i32',
    seedLow: 'i32',
    seedHigh: 'i32',
    purposeLow: 'i32',
    purposeHigh: 'i32',
    keepBelow: 'i32',
    factor: 'f32',
  },
  text: (k, { dtype, noise }, p) => {
    const bytes = bytesPerElement[dtype];
    const factor = k.splat(p.factor);
    const limit = k.splat(p.keepBelow);
    const purpose: readonly [VI, VI] = [k.splat(p.purposeLow), k.splat(p.purposeHigh)];
    const whole = k.and(p.length, -GROUP);
    const changed = (value: VF, word: VI): VF => {
      if (noise === 'drop') return k.select(k.lt(k.shrUnsigned(word, 1), limit), k.mul(value, factor), 0);
      // 24 bits are exact in f32
      const centred = k.sub(k.mul(k.toFloat(k.shrUnsigned(word, 8)), 2 ** -23), 1);
      return k.mul(value, k.fma(factor, centred, k.constant('vf', 1)));
    };

    const row = (index: I32): void => {
      const start = k.mul(index, p.length);
      const [x, y] = [k.offset(p.x, start, bytes), k.offset(p.y, start, bytes)];
      const counterRow = k.splat(k.add(index, p.firstRow));
      const element = (word: VI, column: I32, count?: I32): void => {
        const value = loadFloats(k, dtype, k.offset(x, column, bytes), 0, count);
        storeLanes(k, dtype, k.offset(y, column, bytes), changed(value, word), 0, count);
      };
      const group = (first: I32, each: (word: VI, column: I32) => void): void => {
        const block = k.shrUnsigned(first, 2);
        k.loop(
          0,
          BLOCKS,
          (lane) => {
            const counter = k.add(k.iota(), k.splat(k.add(block, lane)));
            const drawn = philox(k, [counter, counterRow, ...purpose], [p.seedLow, p.seedHigh]);
            drawn.forEach((word, j) => each(word, k.add(k.add(first, lane), BLOCKS * j)));
          },
          k.width,
        );
      };
      k.loop(0, whole, (first) => group(first, (word, column) => element(word, column)), GROUP);
      k.if(k.lt(whole, p.length), () =>
        group(whole, (word, column) =>
          k.if(k.lt(column, p.length), () => element(word, column, k.min(k.sub(p.length, column), k.width))),
        ),
      );
    };

    k.loop(k.begin, k.end, (task) => {
      const first = k.mul(task, p.perTask);
      k.loop(first, k.min(k.add(first, p.perTask), p.rows), row);
    });
  },
});
