import { EMPTY, type Runs } from './runs.js';

/** A growing list of runs as triples of start, end and kind, without those that are empty. */
export class RunList {
  count = 0;
  data = new Int32Array(3 * 256);

  /** Adds one run. */
  push(start: number, end: number, kind: number): void {
    this.#reserve(1);
    const at = 3 * this.count++;
    this.data[at] = start;
    this.data[at + 1] = end;
    this.data[at + 2] = kind;
  }

  /** Adds the runs of a row. */
  append(row: Runs): void {
    this.#reserve(row.count);
    const { ends, kinds } = row;
    const data = this.data;
    let at = 3 * this.count;
    let start = 0;
    for (let i = 0; i < row.count; i++) {
      const end = ends[i]!;
      const kind = kinds[i]!;
      if (kind !== EMPTY) {
        data[at++] = start;
        data[at++] = end;
        data[at++] = kind;
      }
      start = end;
    }
    this.count = at / 3;
  }

  finish(): Int32Array {
    return this.data.slice(0, 3 * this.count);
  }

  #reserve(more: number): void {
    const needed = 3 * (this.count + more);
    if (needed <= this.data.length) return;
    const larger = new Int32Array(2 * needed);
    larger.set(this.data.subarray(0, 3 * this.count));
    this.data = larger;
  }
}
