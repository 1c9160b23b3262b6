const mostText = 40;
const mostEntries = 6;

/** A value as messages print it, whatever it is: never throws, and never fills a screen. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value.length > mostText ? `${value.slice(0, mostText)}…` : value);
    case 'bigint':
      return `the bigint ${value}`;
    case 'function':
      return value.name === '' ? 'a function' : `the function ${value.name}`;
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? list(value) : kindOf(value);
    case 'boolean':
    case 'number':
    case 'symbol':
    case 'undefined':
      return String(value);
  }
}

function list(values: readonly unknown[]): string {
  const shown = values.slice(0, mostEntries).map((value) => (Array.isArray(value) ? '[…]' : describe(value)));
  return `[${shown.join(',')}${values.length > mostEntries ? `,… ${values.length} in all` : ''}]`;
}

/** `an object`, or what made it, and its shape or length where it has one. */
function kindOf(value: object): string {
  const { length, shape, constructor, type } = value as Readonly<Record<string, unknown>>;
  if (typeof type === 'string' && 'op' in value) return `an expression of type ${type}`;
  const name = typeof constructor === 'function' ? constructor.name : '';
  const size = Array.isArray(shape) ? ` ${list(shape)}` : typeof length === 'number' ? ` of ${length}` : '';
  if (name === '' || name === 'Object') return `an object${size}`;
  return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}${size}`;
}

/** Whether a value is a plain object, as options are: no list, tensor, mask, function or the like. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // that of an object of another realm, too
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Whether a value has a length and entries that may be numbers, as arrays and typed arrays do; those of bigints do not. */
export function isList(value: unknown): value is ArrayLike<number> {
  if (typeof value !== 'object' || value === null) return false;
  if (value instanceof BigInt64Array || value instanceof BigUint64Array) return false;
  const { length } = value as { readonly length?: unknown };
  return Number.isSafeInteger(length) && (length as number) >= 0;
}
