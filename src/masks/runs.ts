/** What is known of a tile: no pair allowed, some perhaps, all. The order makes `and` a minimum and `or` a maximum. */
export const EMPTY = 0;
export const PARTIAL = 1;
export const FULL = 2;

/** A row of tiles as maximal runs of one kind: run i ends before `ends[i]` and starts where run i−1 ends. */
export class Runs {
  ends = new Int32Array(16);
  kinds = new Uint8Array(16);
  count = 0;

  clear(): this {
    this.count = 0;
    return this;
  }

  /** Extends the row up to `end` with `kind`; does nothing when it reaches that far already. */
  push(end: number, kind: number): void {
    const last = this.count - 1;
    if (last >= 0) {
      if (this.ends[last]! >= end) return;
      if (this.kinds[last] === kind) {
        this.ends[last] = end;
        return;
      }
    } else if (end <= 0) return;
    if (this.count === this.ends.length) this.#grow();
    this.ends[this.count] = end;
    this.kinds[this.count++] = kind;
  }

  /** The kind at one place. */
  at(index: number): number {
    return this.kinds[this.find(index)]!;
  }

  /** The run that holds `index`. */
  find(index: number): number {
    let [low, high] = [0, this.count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ends[middle]! > index) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #grow(): void {
    const [ends, kinds] = [this.ends, this.kinds];
    this.ends = new Int32Array(2 * ends.length);
    this.kinds = new Uint8Array(2 * kinds.length);
    this.ends.set(ends);
    this.kinds.set(kinds);
  }
}

/** `a and b`, or `a or b`, tile by tile, into `out`. Both rows are equally long. */
export function merge(how: 'and' | 'or', a: Runs, b: Runs, out: Runs): Runs {
  out.clear();
  const and = how === 'and';
  for (let i = 0, j = 0; i < a.count && j < b.count;) {
    const [x, y] = [a.kinds[i]!, b.kinds[j]!];
    const [endA, endB] = [a.ends[i]!, b.ends[j]!];
    out.push(endA < endB ? endA : endB, x < y === and ? x : y);
    if (endA <= endB) i++;
    if (endB <= endA) j++;
  }
  return out;
}

/** `not a`, into `out`. */
export function invert(a: Runs, out: Runs): Runs {
  out.clear();
  for (let i = 0; i < a.count; i++) out.push(a.ends[i]!, FULL - a.kinds[i]!);
  return out;
}

/** A row from one kind per tile. */
export function fromKinds(kinds: Uint8Array, out: Runs): Runs {
  out.clear();
  for (let i = 0; i < kinds.length;) {
    const kind = kinds[i]!;
    let end = i + 1;
    while (end < kinds.length && kinds[end] === kind) end++;
    out.push(end, kind);
    i = end;
  }
  return out;
}
