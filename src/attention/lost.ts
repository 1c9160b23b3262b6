/**
 * Counts what float32 has emptied in a call, and says it in a note: the list is that of the result, and grows when a device tells, which
 * is at once on a CPU.
 */
export class Lost {
  readonly notes: string[] = [];
  #count = 0;

  constructor(readonly sentence: (count: number) => string) {}

  readonly add = (count: number): void => {
    if (count === 0) return;
    this.#count += count;
    this.notes[0] = this.sentence(this.#count);
  };
}
