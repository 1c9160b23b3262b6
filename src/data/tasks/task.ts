import { checkValue, checkValues, wholeBetween, wholeFrom, type Requirements } from '../../core/requirements.js';
import { words } from '../../core/random.js';

/** The target of a place where nothing is asked; losses leave it out (`ignoreIndex`). */
export const NOTHING_ASKED = -100;

export interface Sample {
  /** `[L]`, bytes: what a model sees. */
  readonly tokens: Int32Array;
  /** `[L]`: the byte that comes after each place where it is asked for, elsewhere −100. */
  readonly targets: Int32Array;
  /** The first place with a target; the places from there to the end are asked. What lies before is the question. */
  readonly answerAt: number;
}

export interface TaskOptions {
  /**
   * Where the fact of `needle` lies, from 0, the beginning, to 1, just before the question. Default: anywhere, by the
   * seed.
   */
  readonly depth?: number;
  /** Bytes to hide it in, of prose for instance; default random letters. */
  readonly filler?: Uint8Array;
}

/** Endless questions with known answers: sample `index` of a seed is always the same. */
export interface Task {
  readonly name: string;
  /** What is asked, in a line. */
  readonly help: string;
  /** The smallest length. */
  readonly shortest: number;
  /** @throws OptionError for a seed, index, length or option out of range. */
  sample(seed: number, index: number, length: number, options?: TaskOptions): Sample;
}

/** What a task writes: a question and its answer, together of at most `L + 1` bytes. */
export interface Exercise {
  readonly question: Uint8Array;
  readonly answer: Uint8Array;
}

/**
 * Whole numbers of the task, each below its `bound`; bounds are small, so that the remainder of a word is even enough.
 */
export type Draw = (count: number, bound: number, of?: string) => number[];

interface Definition extends Pick<Task, 'name' | 'help' | 'shortest'> {
  /** The options that the task has. */
  readonly options?: Requirements;
  /** Writes the question and answer for `room` bytes. `draw` with another `of` is another stream. */
  readonly write: (room: number, draw: Draw, options: TaskOptions) => Exercise;
}

/** A task from what it writes: checks what it is asked for, fills up with spaces on the left, and sets the targets. */
export function defineTask({ name, help, shortest, options: known = {}, write }: Definition): Task {
  return {
    name,
    help,
    shortest,
    sample(seed, index, length, options = {}) {
      checkValues(`task ${name}`, options, known);
      checkValue(`task ${name}`, 'index', index, wholeFrom(0));
      checkValue(`task ${name}`, 'length', length, wholeBetween(shortest, 2 ** 31 - 1, '2^31 - 1'));
      const draw: Draw = (count, bound, of = '') =>
        Array.from(words(seed, `data.task.${name}.${index}.${of}`, count), (word) => word % bound);
      const { question, answer } = write(length + 1, draw, options);
      const text = new Int32Array(length + 1).fill(SPACE);
      text.set(question, text.length - question.length - answer.length);
      text.set(answer, text.length - answer.length);
      const answerAt = length - answer.length;
      const targets = text.slice(1).fill(NOTHING_ASKED, 0, answerAt);
      return { tokens: text.slice(0, length), targets, answerAt };
    },
  };
}

export const SPACE = 0x20;
/** The bytes of ASCII text. */
export const ascii = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
/** Small letters for numbers below 26. */
export const letters = (numbers: readonly number[]): string => numbers.map((n) => String.fromCharCode(97 + n)).join('');
