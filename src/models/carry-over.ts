import { sameShape } from '../core/shape.js';
import { Embedding, type Module } from '../nn/index.js';
import { concat, slice } from '../ops/index.js';
import { scope, type Tensor } from '../tensor/index.js';

/** What became of the tensors of another model, by name. */
export interface CarriedOver {
  /** As they are. */
  readonly taken: readonly string[];
  /** Embeddings of which both have some rows, where one knows more tokens. */
  readonly partly: readonly string[];
  /** Of the model: they keep what they had. */
  readonly drawn: readonly string[];
  /** Of the other model: there is no place for them. */
  readonly unused: readonly string[];
}

/**
 * Gives a model the weights of another where name and shape are the same, and of embeddings the tokens that both know. Nothing else of the
 * model changes.
 */
export function carryOver(model: Module, from: ReadonlyMap<string, Tensor>): CarriedOver {
  return scope(() => {
    const own = model.stateDict();
    const embeddings = new Set(model.modules().flatMap((one) => (one instanceof Embedding ? [one.weight.path()] : [])));
    const taken: string[] = [];
    const partly: string[] = [];
    const next = new Map(own);
    for (const [name, value] of own) {
      const other = from.get(name);
      if (other === undefined) continue;
      if (sameShape(other.shape, value.shape)) {
        taken.push(name);
        next.set(name, other);
      } else if (embeddings.has(name) && sameShape(other.shape.slice(1), value.shape.slice(1))) {
        partly.push(name);
        next.set(name, withRows(other, value));
      }
    }
    model.load(next);
    const found = new Set([...taken, ...partly]);
    const rest = (names: Iterable<string>): string[] => [...names].filter((name) => !found.has(name));
    return { taken, partly, drawn: rest(own.keys()), unused: rest(from.keys()) };
  });
}

/** The first rows of one table, then those that only the other has. */
function withRows(first: Tensor, rest: Tensor): Tensor {
  const [rows, all] = [first.shape[0]!, rest.shape[0]!];
  return rows > all ? slice(first, { end: all }) : concat([first, slice(rest, { start: rows })]);
}
