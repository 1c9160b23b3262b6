import { full, Mask, Score, softcap, Tensor, tensor, type Device } from '../../src/index.js';
import { causal } from '../../src/masks/index.js';

/** What rows are made with: devices, and a folder for files. */
export interface World {
  readonly device: Device;
  readonly other: Device;
  readonly folder: string;
}

/** What stands in a place of a signature: a value that works, and which others may. */
export interface Kind {
  readonly valid: (world: World) => unknown;
  /** Whether a value may be taken here; then the call may succeed or be refused, else it must be refused. */
  readonly takes: (value: unknown, world: World) => boolean;
  /** Of an object of options: the kinds of its values. */
  readonly options?: Readonly<Record<string, Kind>>;
  readonly required?: readonly string[];
  /** Whether other keys may be beside them: of a shape, which says more elsewhere. */
  readonly open?: boolean;
}

const isNumber = (value: unknown): value is number => typeof value === 'number';
const kind = (valid: Kind['valid'], takes: Kind['takes']): Kind => ({ valid, takes });
const isList = (value: unknown): value is ArrayLike<unknown> =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof BigInt64Array));
const every = (value: unknown, holds: (entry: unknown) => boolean): boolean =>
  isList(value) && Array.from(value).every(holds);

/** A value of its own; `takes` says which others may be taken. */
export const value = (valid: unknown, takes: (value: unknown) => boolean = () => false): Kind =>
  kind(() => valid, takes);
export const made = (valid: Kind['valid'], takes: (value: unknown) => boolean = () => false): Kind =>
  kind(valid, takes);
export const anything = (valid: unknown): Kind => value(valid, () => true);

export const number = (valid = 0.5): Kind => value(valid, isNumber);
export const whole = (valid = 1): Kind => value(valid, Number.isInteger);
export const positive = (valid = 1): Kind => value(valid, (x) => Number.isInteger(x) && (x as number) > 0);
export const flag = (valid = true): Kind => value(valid, (x) => typeof x === 'boolean');
export const text = (valid = 'name'): Kind => value(valid, (x) => typeof x === 'string');
export const word = (...words: readonly string[]): Kind => value(words[0], (x) => words.includes(x as string));
export const numbers = (valid: ArrayLike<number> = [1, 2]): Kind => value(valid, (x) => every(x, isNumber));
export const shape = (...valid: readonly number[]): Kind =>
  value(valid, (x) => Array.isArray(x) && x.every(Number.isInteger));
export const callback = (valid: (...given: never[]) => unknown): Kind =>
  value(valid, (x) => typeof x === 'function' || valid === x);
export const list = (entry: Kind, count = 2): Kind =>
  kind(
    (world) => Array.from({ length: count }, () => entry.valid(world)),
    (x, world) => Array.isArray(x) && x.every((one) => entry.takes(one, world)),
  );

export const device: Kind = kind(
  (world) => world.device,
  (x, world) => x === world.device || x === world.other,
);
const live = (x: unknown): boolean => x instanceof Tensor && !x.disposed;
/** A tensor of floats; others on the device may be taken. */
export const floats = (...extents: readonly number[]): Kind =>
  kind(({ device: on }) => full(extents, 0.5, { device: on }), live);
export const leaf = (...extents: readonly number[]): Kind =>
  kind(({ device: on }) => full(extents, 0.5, { device: on, requiresGradient: true }), live);
export const indices = (values: readonly number[], extents: readonly number[] = [values.length]): Kind =>
  kind(({ device: on }) => tensor(Int32Array.from(values), extents, { device: on }), live);
/** A tensor whose device is of no matter yet, as a table of a score. */
export const table = (...extents: readonly number[]): Kind =>
  kind(
    ({ device: on }) => full(extents, 0.5, { device: on }),
    (x) => x instanceof Tensor,
  );
export const aMask: Kind = kind(
  () => causal(),
  (x) => x instanceof Mask,
);
export const aScore: Kind = kind(
  () => softcap(30),
  (x) => x instanceof Score,
);

export const optional = (of: Kind): Kind => ({ ...of, takes: (x, world) => x === undefined || of.takes(x, world) });
export const either = (first: Kind, ...others: readonly Kind[]): Kind => ({
  ...first,
  takes: (x, world) => [first, ...others].some((one) => one.takes(x, world)),
});

/** An object of options; those in `required` must be given. */
export const options = (of: Readonly<Record<string, Kind>>, required: readonly string[] = []): Kind => ({
  valid: (world) =>
    Object.fromEntries(
      Object.entries(of)
        .map(([name, one]) => [name, one.valid(world)] as const)
        .filter(([, given]) => given !== undefined),
    ),
  takes: (x) => required.length === 0 && (x === undefined || (typeof x === 'object' && x !== null && isEmptyPlain(x))),
  options: of,
  required,
});

export const open = (of: Kind): Kind => ({ ...of, open: true });

const isEmptyPlain = (x: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(x);
  return (prototype === null || prototype === Object.prototype) && Object.keys(x).length === 0;
};

/** Values that are wrong nearly everywhere, one of each kind that JavaScript lets through. */
export const strangers = (world: World): Readonly<Record<string, unknown>> => {
  const gone = full([2, 3], 1, { device: world.device });
  gone.dispose();
  return {
    undefined: undefined,
    null: null,
    true: true,
    '-1': -1,
    '1.5': 1.5,
    NaN: NaN,
    Infinity: Infinity,
    '2^40': 2 ** 40,
    text: 'nonsense',
    bigint: 7n,
    symbol: Symbol('nonsense'),
    function: () => undefined,
    'empty object': {},
    'object without prototype': Object.create(null) as unknown,
    'unknown option': { nonsense: 1 },
    'empty list': [],
    'nested list': [
      [1, 2],
      [3, 4],
    ],
    'list of texts': ['a', 'b'],
    'list of bigints': [1n, 2n],
    'list of symbols': [Symbol('a'), Symbol('b')],
    bigints: new BigInt64Array(2),
    date: new Date(0),
    map: new Map([['a', 1]]),
    promise: Promise.resolve(1),
    mask: causal(),
    'disposed tensor': gone,
    'tensor elsewhere': full([2, 3], 1, { device: world.other }),
    'tensor of integers': tensor(Int32Array.of(1, 2, 3, 4, 5, 6), [2, 3], { device: world.device }),
    device: world.device,
  };
};
