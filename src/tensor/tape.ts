import { describe } from '../core/describe.js';
import { isFloat } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { callable, checkValue, checkValues, flag } from '../core/requirements.js';
import { sameShape, show } from '../core/shape.js';
import { full } from './create.js';
import { disposeAll, scope } from './scope.js';
import { addGradients, denseOf, numbersOf, shareGradient, type Gradient } from './row-gradient.js';
import { Lifetime } from './storage.js';
import type { EntryOf, TrackOf, VjpOf } from './track.js';
import { checkTensors, describeTensor, internals, share, storageOf, type Tensor } from './tensor.js';

export type Vjp = VjpOf<Tensor>;
type Entry = EntryOf<Tensor>;
type Track = TrackOf<Tensor>;

let recording = true;
let order = 0;

/** Runs `body` without recording: its results require no gradients. `body` must not be async. */
export function noGradient<T>(body: () => T): T {
  checkValue('noGradient', 'body', body, callable);
  const outer = recording;
  recording = false;
  try {
    const result = body();
    if (result instanceof Promise) {
      result.catch(() => undefined);
      throw new OptionError('noGradient: takes a function that is not async; wrap the parts between awaits.');
    }
    return result;
  } finally {
    recording = outer;
  }
}

/** Runs `body` with recording, as when a backward pass computes something again. `body` must not be async. @internal */
export function withGradient<T>(body: () => T): T {
  const outer = recording;
  recording = true;
  try {
    return body();
  } finally {
    recording = outer;
  }
}

/** Whether an operation on these inputs would be recorded. */
export const records = (inputs: readonly Tensor[]): boolean =>
  recording && inputs.some((input) => input.requiresGradient);

/**
 * Records an operation, so that gradients flow from `outputs` to `inputs`; the float outputs then require gradients.
 * Does nothing when no input requires one. What `vjp` reads must be in `saved`: it stays alive as long as the entry,
 * which ends with the last output that leads to it.
 */
export function operation(
  name: string,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  vjp: Vjp,
  saved: readonly Tensor[] = [],
): void {
  if (!records(inputs)) return;
  const tracks = inputs.map((input) => ({ track: input[internals].track, shape: input.shape }));
  const parents = new Set(tracks.flatMap(({ track }) => track?.entry?.lifetime ?? []));
  const own: (Track | undefined)[] = [];
  const storages = saved.map((tensor) => storageOf(tensor, name));
  const entry: Entry = {
    name,
    order: order++,
    inputs: tracks,
    outputs: own,
    vjp,
    saved,
    versions: storages.map(({ version }) => version),
    lifetime: new Lifetime(storages, [...parents]),
    released: false,
  };
  outputs.forEach((output, i) => {
    const track = isFloat(output.dtype) ? { entry, output: i } : undefined;
    own.push(track);
    if (track !== undefined) output[internals].follow(track);
  });
}

export interface GradientOptions {
  /** Frees what each operation saved as soon as the sweep has passed it; the same outputs cannot be swept again. */
  readonly release?: boolean;
  /**
   * Gives the gradient of a table as `{ shape, indices, rows }` where all that reads it reads few rows, as `weighRows` does: a table of
   * many rows is then not written to whole, and `optimiser.step` takes such a gradient. Default false: zeros stand in all other rows.
   */
  readonly rows?: boolean;
}

/**
 * The gradients `Σ_o ⟨cotangents[o], ∂outputs[o]/∂inputs[i]⟩`, f32 and shaped like the inputs; zeros for an input
 * that no output depends on. Without `cotangents`, every output must have one element, whose cotangent is 1.
 *
 * The sweep visits operations from the last recorded to the first, so equal programs give equal bits.
 *
 * @throws OptionError for an output that depends on nothing, an input that does not require gradients, or a tensor that was
 *   changed in place after an operation had saved it.
 * @throws ShapeError for a cotangent that is missing or not f32 of the output's shape.
 *
 * @example
 * const x = tensor([1, 2, 3], [3], { device, requiresGradient: true });
 * const [dx] = gradients([sum(mul(x, x))], [x]); // [2, 4, 6]
 */
export function gradients(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  cotangents?: readonly (Tensor | undefined)[],
  options?: GradientOptions & { readonly rows?: false },
): Tensor[];
export function gradients(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  cotangents: readonly (Tensor | undefined)[],
  options: GradientOptions,
): Gradient[];
export function gradients(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  cotangents: readonly (Tensor | undefined)[] = [],
  options: GradientOptions = {},
): Gradient[] {
  return scope(() =>
    arrivals(outputs, inputs, cotangents, options).map((found, i) => {
      const gradient = found ?? full(inputs[i]!.shape, 0, { device: inputs[i]!.device });
      return options.rows === true ? gradient : denseOf(gradient);
    }),
  );
}

/** As `gradients`, but undefined for an input that nothing arrived at. @internal */
export function arrivals(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  cotangents: readonly (Tensor | undefined)[],
  options: GradientOptions,
): (Gradient | undefined)[] {
  check(outputs, inputs, cotangents, options);
  return scope(() =>
    noGradient(() => {
      const sweep = new Sweep(new Set(inputs.map((input) => input[internals].track!)));
      outputs.forEach((output, i) => {
        const given = cotangents[i];
        const seed = given === undefined ? full(output.shape, 1, { device: output.device }) : share(given);
        sweep.add(output[internals].track!, seed);
      });
      sweep.run(
        outputs.map((output) => output[internals].track!),
        options.release === true,
      );
      return inputs.map((input) => sweep.take(input[internals].track!));
    }),
  );
}

function check(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  cotangents: readonly (Tensor | undefined)[],
  options: GradientOptions,
): void {
  checkTensors('gradients', 'outputs', outputs);
  checkTensors('gradients', 'inputs', inputs);
  if (!Array.isArray(cotangents)) {
    throw new OptionError(`gradients: cotangents must be an array, one for each output; got ${describe(cotangents)}.`);
  }
  checkValues('gradients', options, { release: flag, rows: flag });
  for (const cotangent of cotangents as readonly (Tensor | undefined)[]) {
    if (cotangent !== undefined) storageOf(cotangent, 'gradients');
  }
  if (cotangents.length > outputs.length) {
    throw new ShapeError(
      `gradients: one cotangent per output; got ${cotangents.length} for ${outputs.length} outputs.`,
    );
  }
  outputs.forEach((output, i) => {
    if (!output.requiresGradient) {
      throw new OptionError(
        `gradients: output ${i} ${show(output.shape)} depends on no tensor that requires gradients; ` +
          'create one with { requiresGradient: true }, and compute outside noGradient.',
      );
    }
    const given = cotangents[i];
    if (given === undefined && output.size !== 1) {
      throw new ShapeError(
        `gradients: output ${i} has shape ${show(output.shape)}; only an output of one element has a default cotangent. ` +
          'Pass a cotangent of that shape, or reduce the output with sum or mean.',
      );
    }
    if (given !== undefined && (given.dtype !== 'f32' || !sameShape(given.shape, output.shape))) {
      throw new ShapeError(
        `gradients: cotangent ${i} must be f32${show(output.shape)}, as the output is; got ${given.dtype}${show(given.shape)}.`,
      );
    }
  });
  inputs.forEach((input, i) => {
    if (input.requiresGradient) return;
    throw new OptionError(
      `gradients: input ${i}, ${describeTensor(input)}, does not require gradients; create it with { requiresGradient: true }, or, of ` +
        'a module, take learnedTensors().',
    );
  });
}

/** The gradients that have arrived so far, by value. */
class Sweep {
  readonly #arrived = new Map<Track, Gradient>();

  constructor(readonly wanted: ReadonlySet<Track>) {}

  /** Adds a gradient the sweep owns. */
  add(track: Track, gradient: Gradient): void {
    const before = this.#arrived.get(track);
    this.#arrived.set(track, before === undefined ? gradient : addGradients(before, gradient));
  }

  /** A gradient for the caller; an input that is asked for twice gets two. */
  take(track: Track): Gradient | undefined {
    const arrived = this.#arrived.get(track);
    return arrived && shareGradient(arrived);
  }

  /** What arrived at an output of an operation, whose rule takes tensors. */
  #cotangent(track: Track): Tensor | undefined {
    const arrived = this.#arrived.get(track);
    if (arrived === undefined) return undefined;
    const dense = denseOf(arrived);
    this.#arrived.set(track, dense);
    return dense;
  }

  run(outputs: readonly Track[], release: boolean): void {
    const entries = reachable(outputs);
    const needed = new Set<Track>(this.wanted);
    for (const entry of entries) {
      if (entry.inputs.some(({ track }) => track !== undefined && needed.has(track))) {
        for (const output of entry.outputs) if (output !== undefined) needed.add(output);
      }
    }
    for (const entry of entries.reverse()) this.#visit(entry, needed, release);
  }

  #visit(entry: Entry, needed: ReadonlySet<Track>, release: boolean): void {
    const needs = entry.inputs.map(({ track }) => track !== undefined && needed.has(track));
    const cotangents = entry.outputs.map((track) => track && this.#cotangent(track));
    if (needs.includes(true) && cotangents.some((cotangent) => cotangent !== undefined)) {
      if (entry.released)
        throw new OptionError('gradients: a sweep with { release: true } has already used up this history.');
      this.#propagate(entry, cotangents, needs);
    }
    for (const track of entry.outputs) {
      if (track === undefined || this.wanted.has(track)) continue;
      disposeAll(this.#arrived.get(track));
      this.#arrived.delete(track);
    }
    if (release) {
      entry.released = true;
      entry.lifetime.forget();
    }
  }

  #propagate(entry: Entry, cotangents: readonly (Tensor | undefined)[], needs: readonly boolean[]): void {
    const results = scope(() => {
      for (const tensor of entry.saved) tensor[internals].revived++;
      try {
        checkUnchanged(entry);
        // shared, because a rule may return one tensor twice, or the cotangent it was given
        return entry
          .vjp(cotangents, needs)
          .map((result, i) => (needs[i] && result ? shareGradient(result) : undefined));
      } finally {
        for (const tensor of entry.saved) tensor[internals].revived--;
      }
    });
    needs.forEach((need, i) => {
      const result = results[i];
      if (!need || result === undefined) return;
      const { track, shape } = entry.inputs[i]!;
      const { dtype } = numbersOf(result);
      if (dtype !== 'f32' || !sameShape(result.shape, shape)) {
        disposeAll(results);
        throw new ShapeError(
          `${entry.name}: the gradient of input ${i} must be f32${show(shape)}; its rule gave ${dtype}${show(result.shape)}.`,
        );
      }
      this.add(track!, result);
    });
  }
}

/** @throws OptionError where a tensor that an operation saved was written to since. */
function checkUnchanged({ name, saved, versions }: Entry): void {
  const changed = saved.find((tensor, i) => storageOf(tensor).version !== versions[i]);
  if (changed === undefined) return;
  throw new OptionError(
    `gradients: ${name} saved ${describeTensor(changed)} for its backward pass, and it was changed in place since, as by optimiser.step ` +
      'or clipGradients; take gradients before the change, or compute the outputs again after it.',
  );
}

/** The entries that lead to the outputs, in the order they were recorded. */
function reachable(outputs: readonly Track[]): Entry[] {
  const found = new Set<Entry>();
  const pending = outputs.map((track) => track.entry);
  while (pending.length > 0) {
    const entry = pending.pop();
    if (entry === undefined || found.has(entry)) continue;
    found.add(entry);
    for (const { track } of entry.inputs) pending.push(track?.entry);
  }
  return [...found].sort((a, b) => a.order - b.order);
}
