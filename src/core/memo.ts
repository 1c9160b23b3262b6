export interface MemoOptions<A extends readonly unknown[]> {
  /** What two calls must have in common; default the arguments. */
  readonly by?: (...args: A) => readonly unknown[];
  /** So many results are kept for the same objects, then all of those are dropped; default any number. */
  readonly most?: number;
}

/**
 * `make`, which is called once for equal arguments: whatever is found by identity (expressions, plans, kernels) is the same object again.
 *
 * Objects are equal by identity, and what was made for one is kept as long as it lives; lists are equal by their entries, all else by value.
 * What throws is not kept.
 */
export function memoised<A extends readonly unknown[], T>(
  make: (...args: A) => T,
  { by, most = Infinity }: MemoOptions<A> = {},
): (...args: A) => T {
  const root = new Branch<T>();
  return (...args) => {
    const { branch, text } = find(root, by === undefined ? args : by(...args));
    const { values } = branch;
    const known = values.get(text);
    if (known !== undefined || values.has(text)) return known as T;
    const made = make(...args);
    if (values.size >= most) values.clear();
    values.set(text, made);
    return made;
  };
}

/** What is kept for a chain of objects, by the values that stand between them. */
class Branch<T> {
  readonly values = new Map<string, T>();
  #below: WeakMap<object, Branch<T>> | undefined;

  below(part: object): Branch<T> {
    this.#below ??= new WeakMap();
    let branch = this.#below.get(part);
    if (branch === undefined) this.#below.set(part, (branch = new Branch()));
    return branch;
  }
}

function find<T>(from: Branch<T>, parts: readonly unknown[]): { readonly branch: Branch<T>; readonly text: string } {
  let branch = from;
  let text = '';
  for (const part of parts) {
    if (Array.isArray(part)) {
      const inner = find(branch, part);
      branch = inner.branch;
      text += `[${inner.text}]`;
    } else if (isObject(part)) {
      branch = branch.below(part);
      text += '*\0';
    } else {
      text += `${typeof part === 'string' ? '"' : ''}${String(part)}\0`;
    }
  }
  return { branch, text };
}

const isObject = (part: unknown): part is object =>
  (typeof part === 'object' && part !== null) || typeof part === 'function';
