import type { Expression } from '../../codegen/expression/index.js';

const none = {};

/** Values by two expressions and a name, kept as long as the expressions live. */
export class Remembered<T> {
  readonly #known = new WeakMap<object, WeakMap<object, Map<string, T>>>();

  /** Of two expressions at most `most` values are kept. */
  constructor(readonly most: number) {}

  get(first: Expression | null | undefined, second: Expression | null | undefined, name: string, make: () => T): T {
    const ofFirst = this.#known.get(first ?? none) ?? new WeakMap<object, Map<string, T>>();
    this.#known.set(first ?? none, ofFirst);
    const values = ofFirst.get(second ?? none) ?? new Map<string, T>();
    ofFirst.set(second ?? none, values);
    const known = values.get(name);
    if (known !== undefined) return known;
    const made = make();
    if (values.size >= this.most) values.clear();
    values.set(name, made);
    return made;
  }
}
