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

  /** The kind of the last run. */
  get last(): number {
    return this.kinds[this.count - 1]!;
  }

  /** Where the row ends. */
  get end(): number {
    return this.count === 0 ? 0 : this.ends[this.count - 1]!;
  }

  /** The run that holds `index`. */
  find(index: number): number {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ends[middle]! > index) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The first run from `start` on that ends after `index`. */
  findFrom(start: number, index: number): number {
    let step = 1;
    let low = start;
    // most often it is near
    while (low < this.count && this.ends[low]! <= index) {
      if (low + step < this.count && this.ends[low + step]! <= index) {
        low += step;
        step *= 2;
      } else if (step > 1) step = 1;
      else low++;
    }
    return low;
  }

  /** Appends runs start…stop−1 of another row, which begin where this row ends. */
  copy(from: Runs, start: number, stop: number): void {
    if (start >= stop) return;
    // the first run may continue the last
    this.push(from.ends[start]!, from.kinds[start]!);
    const rest = stop - start - 1;
    if (rest < 16) {
      for (let i = start + 1; i < stop; i++) {
        this.ends[this.count] = from.ends[i]!;
        this.kinds[this.count++] = from.kinds[i]!;
      }
    } else {
      this.ends.set(from.ends.subarray(start + 1, stop), this.count);
      this.kinds.set(from.kinds.subarray(start + 1, stop), this.count);
      this.count += rest;
    }
  }

  /** Makes room for `count` runs; what is stored may be lost. */
  reserve(count: number): void {
    if (count <= this.ends.length) return;
    this.ends = new Int32Array(2 * count);
    this.kinds = new Uint8Array(2 * count);
  }

  #grow(): void {
    const [ends, kinds, count] = [this.ends, this.kinds, this.count];
    this.reserve(2 * count);
    this.ends.set(ends);
    this.kinds.set(kinds);
  }
}

/**
 * `a and b`, or `a or b`, tile by tile, into `out`: right for columns start…end−1. All rows are equally long.
 */
export function merge(how: 'and' | 'or', a: Runs, b: Runs, out: Runs, start: number, end: number): Runs {
  // the kind that decides alone; the other extreme leaves the decision to the other row
  const decides = how === 'and' ? EMPTY : FULL;
  const neutral = FULL - decides;
  out.clear().reserve(a.count + b.count + 2);
  out.push(start, PARTIAL);
  let i = a.find(start);
  let j = b.find(start);
  while (i < a.count && j < b.count) {
    const x = a.kinds[i]!;
    const y = b.kinds[j]!;
    const endA = a.ends[i]!;
    const endB = b.ends[j]!;
    if ((x === decides || x === neutral) && endA >= endB) {
      // a long run of a: what it covers of b is passed over, or copied as it stands
      const next = b.findFrom(j, Math.min(endA, end));
      if (x === neutral) out.copy(b, j, next);
      j = next;
      out.push(endA, x === decides || j >= b.count ? x : b.kinds[j]!);
      i++;
    } else if ((y === decides || y === neutral) && endB >= endA) {
      const next = a.findFrom(i, Math.min(endB, end));
      if (y === neutral) out.copy(a, i, next);
      i = next;
      out.push(endB, y === decides || i >= a.count ? y : a.kinds[i]!);
      j++;
    } else {
      const kind = x === decides || y === decides ? decides : x === neutral ? y : x;
      out.push(endA < endB ? endA : endB, kind);
      if (endA <= endB) i++;
      if (endB <= endA) j++;
    }
    if (out.end >= end) break;
  }
  out.push(a.end, PARTIAL);
  return out;
}

/** `not a`, into `out`. */
export function invert(a: Runs, out: Runs): Runs {
  out.reserve(a.count);
  out.count = a.count;
  for (let i = 0; i < a.count; i++) {
    out.ends[i] = a.ends[i]!;
    out.kinds[i] = FULL - a.kinds[i]!;
  }
  return out;
}

/** A row from one kind per tile, right for columns start…end−1. */
export function fromKinds(kinds: Uint8Array, out: Runs, start = 0, end = kinds.length): Runs {
  out.clear();
  out.push(start, PARTIAL);
  for (let i = start; i < end;) {
    const kind = kinds[i]!;
    let stop = i + 1;
    while (stop < end && kinds[stop] === kind) stop++;
    out.push(stop, kind);
    i = stop;
  }
  out.push(kinds.length, PARTIAL);
  return out;
}
