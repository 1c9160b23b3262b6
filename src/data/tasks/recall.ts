import { permutation } from '../permutation.js';
import { ascii, defineTask, letters } from './task.js';

/** Keys are never so many that most are taken. */
const SPARE = 2;

/**
 * Pairs of a key of small letters and a value, a digit, then one of the keys: `bq7 xa0 mm3 …?xa` asks for `0`. Keys
 * are all different, and have as many letters as that takes; pairs are as many as there is room for.
 *
 * After Ba et al., "Using Fast Weights to Attend to the Recent Past", NeurIPS 2016, arXiv:1610.06258, and Arora et
 * al., "Zoology", ICLR 2024, arXiv:2312.04927.
 */
export const recall = defineTask({
  name: 'recall',
  help: 'key-value pairs, then a key: answer its value',
  shortest: 6,
  write(room, draw) {
    let width = 1;
    const pairsOf = (width: number): number => Math.floor((room - width - 2) / (width + 2));
    while (26 ** width < SPARE * pairsOf(width)) width++;
    const count = pairsOf(width);
    const keyOf = permutation(draw(1, 2 ** 32, 'keys')[0]!, 'data.task.recall', 26 ** width);
    const values = draw(count, 10, 'values');
    const [asked = 0] = draw(1, count, 'asked');
    const key = (pair: number): string => {
      const number = keyOf(pair);
      return letters(Array.from({ length: width }, (_, i) => Math.floor(number / 26 ** i) % 26));
    };
    const pairs = values.map((value, pair) => `${key(pair)}${value} `).join('');
    return { question: ascii(`${pairs}?${key(asked)}`), answer: ascii(String(values[asked])) };
  },
});
