import type { Requirement } from '../../core/requirements.js';
import { ascii, defineTask, letters, SPACE } from './task.js';

const DIGITS = 5;
const FACT = '\nThe secret number is ';
const END = '.\n';
const AROUND = 2 * FACT.length + END.length + 2 * DIGITS;

const depth: Requirement = {
  must: 'a number from 0 to 1',
  holds: (value) => typeof value === 'number' && value >= 0 && value <= 1,
};
const filler: Requirement = {
  must: 'a Uint8Array of at least one byte',
  holds: (value) => value instanceof Uint8Array && value.length > 0,
};

/**
 * A needle in a haystack: `… The secret number is 48213. …` somewhere in other text, and at its end
 * `The secret number is `, which asks for `48213`. The other text is a piece of `filler`, repeated if it is too
 * short, or random words.
 *
 * After Kamradt, "Needle In A Haystack" (2023), https://github.com/gkamradt/LLMTest_NeedleInAHaystack.
 */
export const needle = defineTask({
  name: 'needle',
  help: 'a number hidden at some depth of other text, then the question what it was',
  shortest: AROUND,
  options: { depth, filler },
  write(room, draw, { depth = draw(1, 2 ** 32, 'depth')[0]! / 2 ** 32, filler }) {
    const number = draw(DIGITS, 10, 'number').join('');
    const fact = ascii(`${FACT}${number}${END}`);
    const hay =
      filler === undefined ? randomWords(draw(room - AROUND, 2 ** 32, 'filler')) : new Uint8Array(room - AROUND);
    if (filler !== undefined) {
      const [from = 0] = draw(1, Math.max(1, filler.length - hay.length + 1), 'filler');
      for (let i = 0; i < hay.length; i++) hay[i] = filler[(from + i) % filler.length]!;
    }
    const before = Math.round(depth * hay.length);
    const question = new Uint8Array(room - DIGITS);
    question.set(hay.subarray(0, before));
    question.set(fact, before);
    question.set(hay.subarray(before), before + fact.length);
    question.set(ascii(FACT), question.length - FACT.length);
    return { question, answer: ascii(number) };
  },
});

/** Letters, with a space about every sixth time. */
function randomWords(draws: readonly number[]): Uint8Array {
  return Uint8Array.from(draws, (word) => (word % 6 === 0 ? SPACE : letters([(word >>> 8) % 26]).charCodeAt(0)));
}
