import { OptionError } from '../core/errors.js';
import { innermostFrame } from './registry.js';
import { scope } from './scope.js';
import { noGradient } from './tape.js';
import { moveTo, share, type Tensor } from './tensor.js';

type Make = () => readonly Tensor[];

/** What the calls of `decided` in one run of a function gave, in their order. */
export type Decisions = readonly (readonly Tensor[])[];

/** A decision may be made of others: those are part of it. */
const anew = (make: Make): readonly Tensor[] => deciding(anew, () => scope(() => noGradient(make)));

let decide: (make: Make) => readonly Tensor[] = anew;

/**
 * `make()`, without gradients: a choice that jumps where its inputs change a little, such as the buckets of a hash or the order
 * of a sort. What is computed again in a backward pass gets the tensors of the forward pass and does not call `make`. A
 * reversible layer knows its inputs again only up to rounding, and another choice there would give the gradients of another
 * function than the one that was computed. (Kitaev et al. 2020, "Reformer", arXiv:2001.04451, keep the buckets too.)
 *
 * The tensors belong to the scope around, as what `make` returns does.
 */
export const decided = (make: Make): readonly Tensor[] => decide(make);

function deciding<T>(how: typeof decide, body: () => T): T {
  const outer = decide;
  decide = how;
  try {
    return body();
  } finally {
    decide = outer;
  }
}

/** Runs `body` and keeps what it decides. The decisions belong to the scope around; the tape must save them. */
export function recordDecisions<T>(body: () => T): { readonly result: T; readonly decisions: Decisions } {
  const [outer, frame] = [decide, innermostFrame()];
  const decisions: Tensor[][] = [];
  // what is around may itself be computed again, and then knows what to decide
  const record = (make: Make): readonly Tensor[] => {
    const made = outer(make);
    decisions.push(made.map((tensor) => share(tensor)));
    for (const tensor of decisions.at(-1)!) moveTo(tensor, frame);
    return made;
  };
  return { result: deciding(record, body), decisions };
}

/** Runs `body` with what was decided before. @throws OptionError unless it asks as often as it did then. */
export function repeatDecisions<T>(decisions: Decisions, body: () => T): T {
  let next = 0;
  const repeat = (): readonly Tensor[] => {
    const made = decisions[next++];
    if (made === undefined) throw changed(next, decisions.length);
    return made.map((tensor) => share(tensor));
  };
  const result = deciding(repeat, body);
  if (next !== decisions.length) throw changed(next, decisions.length);
  return result;
}

const changed = (now: number, before: number): OptionError =>
  new OptionError(
    `decided: called ${now} times where something is computed again, ${before} times in the forward pass; ` +
      'a function that is computed again must do the same both times.',
  );
