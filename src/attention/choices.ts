import { argsort, takeAlong } from '../ops/index.js';
import type { Tensor } from '../tensor/index.js';

/** Tokens in the order in which a mechanism gathers them, cut into groups that stand together. */
export interface Gathered {
  /** i32 `[B, heads, m]`; a token may be there several times, or not at all; −1 is none. */
  readonly order: Tensor;
  /** Places of a group, of which the last may have fewer; or the group of each place, i32 `[B, heads, m]`. */
  readonly groups: number | Tensor;
}

/** What the data decides in a call, for people to look at. */
export interface Choices {
  /** What a group is, such as `'cluster'`. */
  readonly group?: string;
  readonly queries?: Gathered;
  /** Default: all keys in the order of the text. */
  readonly keys?: Gathered;
  /** Keys that all queries share, i32 `[B, heads, s]`, and what they are. */
  readonly shared?: { readonly keys: Tensor; readonly are: string };
}

/** Tokens by the number of their group, i32 `[B, heads, n]`. */
export function byGroup(groups: Tensor): Gathered {
  const order = argsort(groups);
  return { order, groups: takeAlong(groups, order) };
}
