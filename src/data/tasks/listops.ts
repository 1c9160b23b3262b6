import { FormatError } from '../../core/errors.js';
import { checkValue, text } from '../../core/requirements.js';
import { ascii, defineTask, type Draw } from './task.js';

const operators: Readonly<Record<string, (values: readonly number[]) => number>> = {
  MIN: (values) => Math.min(...values),
  MAX: (values) => Math.max(...values),
  /** The lower whole number, if the middle lies between two. */
  MED: (values) => {
    const sorted = [...values].sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 === 1 ? sorted[middle]! : Math.floor((sorted[middle - 1]! + sorted[middle]!) / 2);
  },
  SM: (values) => values.reduce((sum, value) => sum + value, 0) % 10,
};
const NAMES = Object.keys(operators);
const DEEPEST = 10;
const MOST_ARGUMENTS = 10;
/** One argument in so many is a list. */
const LIST_EVERY = 4;
const TRIES = 256;

/**
 * The value of a ListOps expression, `[MAX 2 9 [MIN 4 7 ] 0 ]`, a digit; round brackets count for nothing, so that
 * the notation of the Long Range Arena is read too. MIN, MAX, MED (median, rounded down) and SM (sum modulo 10) of at
 * least one value.
 *
 * Nangia, Bowman, "ListOps: A Diagnostic Dataset for Latent Tree Learning", NAACL 2018 SRW, arXiv:1804.06028.
 *
 * @throws FormatError naming what is not an expression.
 */
export function evaluateListOps(source: string): number {
  checkValue('evaluateListOps', 'source', source, text);
  const wrong = (what: string): FormatError =>
    new FormatError(`evaluateListOps: ${what}; an expression is a digit or [MIN|MAX|MED|SM, expressions, ].`);
  const result: number[] = [];
  const open: { readonly name: string; readonly values: number[] }[] = [];
  for (const word of source.split(/[\s()]+/)) {
    if (word === '') continue;
    const into = (): number[] => open.at(-1)?.values ?? result;
    if (/^\d$/.test(word)) into().push(Number(word));
    else if (word.startsWith('[') && Object.hasOwn(operators, word.slice(1))) {
      open.push({ name: word.slice(1), values: [] });
    } else if (word === ']') {
      const list = open.pop();
      if (list === undefined) throw wrong('"]" closes nothing');
      if (list.values.length === 0) throw wrong(`[${list.name} ] has no values`);
      into().push(operators[list.name]!(list.values));
    } else throw wrong(`unknown word ${JSON.stringify(word)}`);
  }
  if (open.length > 0) throw wrong(`[${open.at(-1)!.name} is not closed`);
  if (result.length !== 1) throw wrong(`${result.length} expressions instead of one`);
  return result[0]!;
}

/**
 * A ListOps expression asks for its value: `[MAX 2 9 [MIN 4 7 ] 0 ]=` for `9`. Lists are at most ten deep, with 2 to
 * 10 arguments, one in four a list, as in the Long Range Arena (Tay et al., arXiv:2011.04006). Of at most 256
 * expressions, the first that takes at least half the room and fits; else the longest that fits.
 */
export const listops = defineTask({
  name: 'listops',
  help: 'the value of nested MIN, MAX, MED and SM of digits',
  shortest: 11,
  write(room, draw) {
    const most = room - 2;
    let best = '';
    for (let attempt = 0; attempt < TRIES && 2 * best.length < most; attempt++) {
      const expression = randomList(draw, attempt, most);
      if (expression !== undefined && expression.length > best.length) best = expression;
    }
    if (best === '') {
      const [operator = 0] = draw(1, NAMES.length, 'operator');
      best = `[${NAMES[operator]} ${draw(2, 10, 'digits').join(' ')} ]`;
    }
    return { question: ascii(`${best}=`), answer: ascii(String(evaluateListOps(best))) };
  },
});

/** Nothing if it would not fit in `most` bytes. */
function randomList(draw: Draw, attempt: number, most: number): string | undefined {
  // a longer draw begins with the shorter one
  let numbers = draw(32, 2 ** 32, String(attempt));
  let at = 0;
  const next = (bound: number): number => {
    if (at === numbers.length) numbers = draw(4 * at, 2 ** 32, String(attempt));
    return numbers[at++]! % bound;
  };
  let written = 0;
  const list = (depth: number): string => {
    const name = NAMES[next(NAMES.length)]!;
    const count = 2 + next(MOST_ARGUMENTS - 1);
    const parts = [`[${name}`];
    written += name.length + 4;
    for (let i = 0; i < count && written <= most; i++) {
      if (depth < DEEPEST && next(LIST_EVERY) === 0) parts.push(list(depth + 1));
      else {
        parts.push(String(next(10)));
        written += 2;
      }
    }
    return [...parts, ']'].join(' ');
  };
  const whole = list(1);
  return written > most ? undefined : whole;
}
