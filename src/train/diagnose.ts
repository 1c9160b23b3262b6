import { NumericsError } from '../core/errors.js';
import { findNonFiniteIn, finiteParameters } from '../kernels/finite.js';
import type { ModelState } from '../models/model.js';
import type { Module } from '../nn/index.js';
import { observing } from '../nn/observe.js';
import { disposeAll, keep, noGradient, numbersOf, scope, zeros, type Gradient, type Tensor } from '../tensor/index.js';
import { addTo, lossAndGradients, lossOf, releaseState, type Pass } from './micro-batch.js';

/** Elements one task looks at. */
const CHUNK = 16384;

/** Words that are 1 where a part of x holds a NaN or an infinity, else 0. */
function flagsOf(x: Tensor): Tensor {
  return scope(() => {
    const { device, size } = x;
    const tasks = Math.ceil(size / CHUNK);
    const flags = zeros([tasks], { device, dtype: 'i32', category: 'workspace' });
    device.run(
      findNonFiniteIn(x.dtype),
      finiteParameters.pack({ x: x.buffer, count: size, chunk: CHUNK, flags: flags.buffer }),
      tasks,
    );
    return flags;
  });
}

interface Looked {
  readonly name: string;
  readonly flags: Tensor;
}

const look = (name: string, x: Tensor): Looked => ({ name, flags: keep(noGradient(() => flagsOf(x))) });

/** The first that holds a NaN or an infinity. Frees the flags. */
async function firstOf(looked: readonly Looked[]): Promise<string | undefined> {
  try {
    for (const { name, flags } of looked) {
      const words = await flags.data();
      if (words.some((word) => word !== 0)) return name;
    }
    return undefined;
  } finally {
    disposeAll(looked);
  }
}

/** The first parameter that holds a NaN or an infinity, by its name. */
const firstNonFiniteParameter = (model: Module): Promise<string | undefined> =>
  firstOf([...model.stateDict()].map(([name, value]) => look(name, value)));

/** @throws NumericsError naming the first parameter that holds a NaN or an infinity: nothing that is computed from it is a number. */
export async function checkFinite(who: string, model: Module): Promise<void> {
  const name = await firstNonFiniteParameter(model);
  if (name === undefined) return;
  throw new NumericsError(
    `${who}: tensor ${name} holds a NaN or an infinity, so the model predicts nothing; take weights of an earlier step, or train anew.`,
  );
}

/**
 * What first held a NaN or an infinity in a step, found by computing it again while somebody watches: a parameter, the output of
 * a layer in the order of the forward pass, the loss, or a gradient in the order of the backward pass, which reaches the last
 * parameters first.
 *
 * `passes` are those of the step, each of the memory that the one before left.
 */
export async function firstNonFinite(
  passes: readonly ((memory: ModelState | undefined) => Pass)[],
  memory: ModelState | undefined,
  leaves: ReadonlyMap<string, Tensor>,
): Promise<string> {
  const { model } = passes[0]!(memory);
  const inParameters = await firstNonFiniteParameter(model);
  if (inParameters !== undefined) return `in parameter ${inParameters}`;
  let state = memory;
  let sums: Gradient[] | undefined;
  try {
    for (const pass of passes) {
      const inForward = await firstOf(watched(pass(state)));
      if (inForward !== undefined) return `in ${inForward}`;
      const one = lossAndGradients(pass(state), [...leaves.values()]);
      disposeAll([one.loss, one.losses, one.statistics, one.updates]);
      sums = addTo(sums, one.found);
      if (state !== memory) releaseState(state, one.state, memory);
      state = one.state;
      const found = sums ?? [];
      const looked = found.map((gradient, i) => look(`the gradient of ${[...leaves.keys()][i]}`, numbersOf(gradient)));
      const inBackward = await firstOf(looked.reverse());
      if (inBackward !== undefined) return `in ${inBackward}`;
    }
    return 'nowhere when the step was computed again: the machine or its memory may be at fault';
  } finally {
    disposeAll(sums);
    if (state !== memory) releaseState(state, memory);
  }
}

/** The outputs of a forward pass, in order, then the loss. */
function watched(pass: Pass): Looked[] {
  const looked: Looked[] = [];
  try {
    scope(() =>
      noGradient(() => {
        const { loss, losses = {} } = observing(
          (path, output) => looked.push(look(`the output of ${path || 'the model'}`, output)),
          () => lossOf(pass),
        );
        looked.push(look('the loss', loss));
        for (const [name, one] of Object.entries(losses)) looked.push(look(`the loss ${name}`, one));
      }),
    );
    return looked;
  } catch (error) {
    disposeAll(looked);
    throw error;
  }
}
