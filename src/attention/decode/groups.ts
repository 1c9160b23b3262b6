import { disposeAll, empty, scope, type Tensor } from '../../tensor/index.js';
import type { ForwardResult } from '../definition.js';
import type { Memory, Step } from './memory.js';
import { putEntries, takeEntries } from './room.js';

/** Rows of a decoder that have gone in step: they share a memory, and a step is one call for all of them. */
interface Group {
  readonly rows: readonly number[];
  readonly memory: Memory;
  /** Tokens of each row. */
  length: number;
  /** The most that it had since it was empty: what a ring wrote them over does not come back with `truncate`. */
  reached: number;
}

/** What rows of one length have, by name, `[rows.length, …]`. */
export interface SavedGroup {
  readonly rows: readonly number[];
  readonly length: number;
  readonly saved: Readonly<Record<string, Tensor>>;
}

/**
 * The rows of a decoder, by groups that have gone in step. Each row's tokens begin at slot 0 of its own room, and its positions are
 * its own: nothing is padded, so nothing is to be hidden, and mechanisms whose blocks or strides depend on positions need no other
 * form. A row that goes on without the others of its group leaves it with a copy of its memory.
 */
export class Groups {
  /** Whether a step failed after it had changed what cannot be changed back. */
  lost = false;
  #all: Group[] = [];

  /** `memoryOf` makes room for some of the rows. */
  constructor(readonly memoryOf: (rows: readonly number[]) => Memory) {}

  get all(): readonly Readonly<Group>[] {
    return this.#all;
  }

  /** Tokens of a row. */
  lengthOf(row: number): number {
    return this.#all.find(({ rows }) => rows.includes(row))?.length ?? 0;
  }

  /** Takes in the next tokens of some rows, and attends from them. */
  step(step: Omit<Step, 'start'>, rows: readonly number[]): ForwardResult {
    const tokens = step.q.shape[2]!;
    this.#split((row) => rows.includes(row), rows);
    const going = this.#all.filter((group) => rows.includes(group.rows[0]!));
    const begun: Group[] = [];
    try {
      const results = going.map((group) => {
        begun.push(group);
        const places = group.rows.map((row) => rows.indexOf(row));
        const own = isAll(places, rows.length) ? step : partOf(step, places);
        return { places, ...group.memory.step({ ...own, start: group.length }) };
      });
      const result = together(results, rows.length);
      for (const group of going) {
        group.length += tokens;
        group.reached = Math.max(group.reached, group.length);
      }
      return result;
    } catch (error) {
      for (const group of begun) this.#undo(group, group.length + tokens, group.length);
      this.close(this.#all.filter(({ length }) => length === 0));
      throw error;
    }
  }

  /** Whether steps of one token of all rows are alike but for their place: they share a memory that repeats. */
  repeats(rows: number): boolean {
    const [first, second] = this.#all;
    if (first === undefined || second !== undefined || this.lost) return false;
    return isAll(first.rows, rows) && first.memory.repeats;
  }

  /** What such steps read and write; another object after a change. */
  get memory(): object | undefined {
    return this.#all[0]?.memory;
  }

  /** A step of one token was run again, for the next one. */
  ranAgain(): void {
    const group = this.#all[0]!;
    group.length++;
    group.reached = Math.max(group.reached, group.length);
  }

  /** Goes back to these lengths after a step, or is lost where it cannot. */
  undo(lengths: readonly number[]): void {
    for (const group of this.#all) this.#undo(group, group.length, lengths[group.rows[0]!]!);
  }

  /** Makes ready to `undo` to these lengths; or says from and to what a row does not go back, and changes nothing. */
  apart(lengths: readonly number[]): { readonly from: number; readonly to: number } | undefined {
    for (const { rows, memory, length: from, reached } of this.#all) {
      const to = rows.map((row) => lengths[row]!).find((one) => one > 0 && !memory.goesBack(reached, one));
      if (to !== undefined) return { from, to };
    }
    this.#split((row) => lengths[row]);
    return undefined;
  }

  /** Forgets everything. Rows that went apart begin together again. */
  reset(): void {
    if (this.#all.length > 1) this.close();
    else this.undo(this.#all[0]?.rows.map(() => 0) ?? []);
    this.lost = false;
  }

  /** Takes in copies of the rows of others: row i is their row `rows[i]`. */
  fork(others: Groups, rows: readonly number[]): void {
    const all = others.#all.flatMap((group) => {
      const own = rows.flatMap((row, i) => (group.rows.includes(row) ? [i] : []));
      return own.length === 0 || group.length === 0 ? [] : [{ group, own, from: own.map((i) => rows[i]!) }];
    });
    this.#become(all, ({ group, own, from }) => this.#copy(group, own, from));
  }

  /** Takes in what was saved, in place of what there is. */
  replace(saved: readonly SavedGroup[]): void {
    this.#become(saved, (one) => this.#filled(one.rows, one, () => one.saved));
    this.lost = false;
  }

  /** Frees the memory of some groups, by default all. */
  close(some: readonly Group[] = this.#all): void {
    some.forEach(close);
    this.#all = this.#all.filter((group) => !some.includes(group));
  }

  /** Nothing has changed when it throws. */
  #become<T>(from: readonly T[], make: (one: T) => Group): void {
    const made: Group[] = [];
    try {
      for (const one of from) made.push(make(one));
    } catch (error) {
      made.forEach(close);
      throw error;
    }
    this.close();
    this.#all = made;
  }

  /** Splits groups whose rows differ in `kindOf`, and makes one of the rows among `fresh` that are in none. */
  #split(kindOf: (row: number) => unknown, fresh: readonly number[] = []): void {
    const parts = this.#all.map((group) => {
      const kinds = [...new Set(group.rows.map(kindOf))];
      return { group, parts: kinds.map((kind) => group.rows.filter((row) => kindOf(row) === kind)) };
    });
    const gone = parts.filter((one) => one.parts.length > 1);
    const rest = fresh.filter((row) => !this.#all.some(({ rows }) => rows.includes(row)));
    const made: Group[] = [];
    try {
      for (const { group, parts: each } of gone) for (const rows of each) made.push(this.#copy(group, rows));
      if (rest.length > 0) made.push({ rows: rest, memory: this.memoryOf(rest), length: 0, reached: 0 });
    } catch (error) {
      made.forEach(close);
      throw error;
    }
    this.close(gone.map(({ group }) => group));
    this.#all.push(...made);
  }

  #copy({ rows: all, memory, length, reached }: Group, rows: readonly number[], from = rows): Group {
    const places = from.map((row) => all.indexOf(row));
    return this.#filled(rows, { length, reached }, () => memory.save(length, places));
  }

  #filled(
    rows: readonly number[],
    { length, reached = length }: Pick<Group, 'length'> & Partial<Pick<Group, 'reached'>>,
    save: () => SavedGroup['saved'],
  ): Group {
    const group = { rows, memory: this.memoryOf(rows), length, reached };
    if (length === 0) return group;
    try {
      scope(() => group.memory.load(save(), length));
      return group;
    } catch (error) {
      close(group);
      throw error;
    }
  }

  #undo(group: Group, from: number, to: number): void {
    const reached = Math.max(group.reached, from);
    if (to === 0) group.memory.reset();
    else if (!group.memory.goesBack(reached, to)) this.lost = true;
    group.length = to;
    group.reached = to === 0 ? 0 : reached;
  }
}

const close = ({ memory }: Group): void => disposeAll(memory.tensors);
const isAll = (places: readonly number[], count: number): boolean =>
  places.length === count && places.every((place, i) => place === i);

function partOf({ q, k, v, inputs }: Omit<Step, 'start'>, places: readonly number[]): Omit<Step, 'start'> {
  const part = (x: Tensor): Tensor => takeEntries(x, places);
  const further = Object.entries(inputs).map(([name, x]) => [name, part(x)] as const);
  return { q: part(q), k: part(k), v: part(v), inputs: Object.fromEntries(further) };
}

/** What each group gave, in the order of the rows of the step. */
function together(
  results: readonly (ForwardResult & { readonly places: readonly number[] })[],
  count: number,
): ForwardResult {
  const [{ places, ...first }] = results as [(typeof results)[number]];
  if (isAll(places, count)) return first;
  const join = (of: (result: ForwardResult) => Tensor): Tensor => {
    const [, ...rest] = of(first).shape;
    const whole = empty([count, ...rest], 'f32', of(first).device);
    for (const result of results) putEntries(of(result), whole, result.places);
    return whole;
  };
  const notes = [...new Set(results.flatMap(({ notes: own = [] }) => own))];
  const logsumexp = results.every((result) => result.logsumexp !== undefined);
  return {
    out: join(({ out }) => out),
    ...(logsumexp && { logsumexp: join((result) => result.logsumexp!) }),
    ...(notes.length > 0 && { notes }),
  };
}
