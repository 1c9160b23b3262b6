import { OptionError } from '../core/errors.js';
import type { Pretrained } from './loaded.js';

/** Windows of `size` tokens, special ones counted, that begin `stride` tokens after each other. */
export interface WindowChoice {
  readonly size: number;
  readonly stride: number;
}

/** Tokens `from … to − 1` of a text, as the model sees them. */
export interface TextWindow {
  readonly ids: Int32Array;
  readonly from: number;
  readonly to: number;
  /** Tokens of `ids` before the first of the window: special ones that every window begins with. */
  readonly before: number;
}

/** Tokens of a text that a model has positions for, or undefined: it has no bound. */
export const boundOf = ({ config }: Pick<Pretrained, 'config'>): number | undefined =>
  config.position.method === 'learned' ? config.length : undefined;

/**
 * A text whole, or in windows where that is asked for: each begins and ends with the special tokens that the text does.
 *
 * @throws OptionError for a text that is longer than the positions that the model learned, which says what to do.
 */
export function windowsOf(
  loaded: Pretrained,
  ids: Int32Array,
  choice: WindowChoice | undefined,
): readonly TextWindow[] {
  const bound = boundOf(loaded);
  const size = choice?.size ?? ids.length;
  if (bound !== undefined && size > bound) {
    throw new OptionError(
      choice === undefined
        ? `the text has ${ids.length} tokens and the model learned ${bound} positions; read it in windows (--window ${bound} --stride ${Math.floor(bound / 2)}), ` +
            `or make a model for longer texts (subquad convert --length ${ids.length}). Nothing is cut off unasked.`
        : `windows of ${size} tokens are longer than the ${bound} positions that the model learned; take at most ${bound}.`,
    );
  }
  if (choice === undefined || ids.length <= size) return [{ ids, from: 0, to: ids.length, before: 0 }];
  const { start, end } = markedEnds(loaded, ids);
  const room = size - start.length - end.length;
  if (room < 1 || choice.stride > room) {
    throw new OptionError(
      `windows of ${size} tokens have ${Math.max(0, room)} beside ${start.length + end.length} special ones, so a stride is 1 to ${Math.max(1, room)}; got ${choice.stride}.`,
    );
  }
  const text = ids.subarray(start.length, ids.length - end.length);
  const windows: TextWindow[] = [];
  for (let at = 0; ; at += choice.stride) {
    const to = Math.min(at + room, text.length);
    const own = Int32Array.from([...start, ...text.subarray(at, to), ...end]);
    windows.push({ ids: own, from: start.length + at, to: start.length + to, before: start.length });
    if (to === text.length) return windows;
  }
}

/** The special tokens that the tokenizer of a model puts before and behind any text; undefined where it puts none. */
export function specialEnds({
  tokenizer,
}: Pick<Pretrained, 'tokenizer'>): { readonly start: Int32Array; readonly end: Int32Array } | undefined {
  const some = tokenizer?.marked?.('a').ids;
  const ends = some && markedEnds({ tokenizer }, some);
  return ends && ends.start.length + ends.end.length > 0 ? ends : undefined;
}

/** The special tokens that a template puts before and behind a text. */
function markedEnds(
  { tokenizer }: Pick<Pretrained, 'tokenizer'>,
  ids: Int32Array,
): { readonly start: Int32Array; readonly end: Int32Array } {
  const none = tokenizer?.marked?.('').ids ?? new Int32Array(0);
  for (let cut = none.length; cut >= 0; cut--) {
    const [start, end] = [none.subarray(0, cut), none.subarray(cut)];
    const begins = start.every((id, i) => ids[i] === id);
    const ends = end.every((id, i) => ids[ids.length - end.length + i] === id);
    // as many before as behind, where that is possible
    if (begins && ends && cut <= Math.ceil(none.length / 2)) return { start, end };
  }
  return { start: none.subarray(0, 0), end: none.subarray(0, 0) };
}
