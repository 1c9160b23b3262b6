const most = 64;

/**
 * The same object for the same arguments, so that what was planned or compiled for it is found again. Arguments are numbers,
 * strings and lists of them.
 */
export function remembered<A extends readonly unknown[], T>(make: (...args: A) => T): (...args: A) => T {
  const known = new Map<string, T>();
  return (...args) => {
    // JSON has no infinities
    const key = JSON.stringify(args, (_, value: unknown) => (typeof value === 'number' ? String(value) : value));
    const found = known.get(key) ?? make(...args);
    if (known.size >= most) known.clear();
    known.set(key, found);
    return found;
  };
}
