import type { Kind, World } from './kinds.js';

/** How one export is called. */
export interface Row {
  readonly signature: readonly Kind[];
  /** Default: the export with the arguments. */
  readonly call: (exported: never, args: readonly unknown[], world: World) => unknown;
}

type Callable = (...args: readonly unknown[]) => unknown;

export const call = (...signature: readonly Kind[]): Row => ({
  signature,
  call: (exported: Callable, args) => exported(...args),
});
export const make = (...signature: readonly Kind[]): Row => ({
  signature,
  call: (exported: new (...args: readonly unknown[]) => unknown, args) => new exported(...args),
});
/** A method of what `of` makes. */
export const method =
  (of: (world: World) => unknown) =>
  (name: string, ...signature: readonly Kind[]): Row => ({
    signature,
    call: (_: never, args, world) => (of(world) as Readonly<Record<string, Callable>>)[name]!(...args),
  });

/** What is no function of arguments, and why nothing can be wrong with them. */
export interface Plain {
  readonly plain: string;
}
export const plain = (why: string): Plain => ({ plain: why });
