import { isFloat } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { checkValue } from '../core/requirements.js';
import { sameShape, show } from '../core/shape.js';
import {
  accumulate,
  addGradients,
  arrivals,
  checkLeaves,
  checkTensors,
  commonDevice,
  denseOf,
  noGradient,
  operation,
  recordDecisions,
  records,
  repeatDecisions,
  scope,
  share,
  trackLeaf,
  withGradient,
  type Decisions,
  type Gradient,
  type Tensor,
} from '../tensor/index.js';
import { layersWith, type Module } from './module.js';
import { Moment } from './moment.js';
import { besideOf, outcomeOf, type Beside, type NamedTensors, type Outcome } from './outcome.js';

type Branch<R extends Tensor | Outcome = Tensor | Outcome> = (x: Tensor, ...given: Tensor[]) => R;

/** A layer of two branches: `y1 = x1 + f(x2)`, `y2 = x2 + g(y1)`. */
export interface ReversibleLayer<R extends Tensor | Outcome = Tensor> {
  /** Whatever has parameters or dropout that `f` or `g` use; a module may belong to several layers. */
  readonly modules: readonly Module[];
  /** Tensors that this layer reads besides, such as its state. */
  readonly given?: readonly Tensor[];
  /** Of the second stream, the layer's own `given`, and what all layers are given: floats of its shape. */
  readonly f: Branch<R>;
  /** Of the first stream, as `f`. */
  readonly g: Branch<R>;
}

type Pair<T> = [T, T];

/** Half a layer: adds `run` of one stream to the other. Those of even number add to the first stream. */
interface Half {
  readonly name: string;
  readonly run: Branch;
  readonly moment: Moment;
  /** What it is given beside the stream. */
  readonly given: readonly Tensor[];
  /** Where the moment's parameters stand among all that is read, and what is given behind them. */
  readonly places: readonly number[];
}

/**
 * Layers one after the other, each `y1 = x1 + f(x2)`, `y2 = x2 + g(y1)`, on streams of one shape: the last layer's y1 and y2.
 *
 * The forward pass keeps these two and what was `decided`. The backward pass goes from the last layer to the first: it computes
 * `g(y1)` and `f(x2)` again, with the parameters and the training step of this call, and has `x2 = y2 − g(y1)`,
 * `x1 = y1 − f(x2)` up to rounding. So the memory of a training step does not depend on the number of layers; it takes one more
 * forward pass. Streams are f32, so that the rounding stays small. Branches may give 16-bit floats; where they round another way
 * the second time, streams come back to about 16 bits.
 * (Gomez et al. 2017, "The Reversible Residual Network", arXiv:1707.04585; Kitaev et al. 2020, "Reformer", arXiv:2001.04451,
 * section 3, where x1 = x2 at first.) What all layers read besides, such as an encoder's output, is `given`.
 *
 * @throws ShapeError for streams of two shapes, or a branch that changes the shape.
 * @throws OptionError for streams that are not f32, a branch that gives no floats, or, in the backward pass, one that reads another
 *   tensor that requires gradients.
 */
export function reversible(
  layers: readonly ReversibleLayer[],
  x1: Tensor,
  x2: Tensor,
  given: readonly Tensor[] = [],
): readonly [y1: Tensor, y2: Tensor] {
  return reversibleOutcome(layers, x1, x2, given).streams;
}

/** `reversible` for branches that give more than a stream: what they give beside it comes together. */
export function reversibleOutcome(
  layers: readonly ReversibleLayer<Tensor | Outcome>[],
  x1: Tensor,
  x2: Tensor,
  given: readonly Tensor[] = [],
): { readonly streams: readonly [y1: Tensor, y2: Tensor]; readonly beside: Beside } {
  checkValue('reversible', 'layers', layers, layersWith('f', 'g'));
  checkTensors('reversible', 'given', given);
  const { halves, read } = halvesOf(layers, given);
  checkStreams(x1, x2, read);
  const inputs = [x1, x2, ...read];
  return scope(() => {
    const recorded: Decisions[] | undefined = records(inputs) ? [] : undefined;
    const { streams, beside } = forward(halves, [x1, x2], recorded);
    if (recorded === undefined) return { streams, beside: besideOf(beside) };
    const losses = beside.map((one) => lossesIn(one.losses));
    const starts = losses.map((_, i) => losses.slice(0, i).reduce<number>((sum, own) => sum + own.length, 2));
    operation(
      'reversible',
      inputs,
      [...streams, ...losses.flat()],
      (cotangents, needs) => {
        const back = new Backward(streams, cotangents, read, needs);
        for (let i = halves.length - 1; i >= 0; i--) {
          const own = cotangents.slice(starts[i], starts[i]! + losses[i]!.length);
          back.undo(i, halves[i]!, recorded[i]!, own);
        }
        return back.gradients();
      },
      [...streams, ...read, ...recorded.flat(2)],
    );
    return { streams, beside: besideOf(beside) };
  });
}

function checkStreams(x1: Tensor, x2: Tensor, read: readonly Tensor[]): void {
  commonDevice('reversible', [x1, x2, ...read]);
  if (!sameShape(x1.shape, x2.shape)) {
    throw new ShapeError(
      `reversible: x1 and x2 must have one shape; got x1=${show(x1.shape)}, x2=${show(x2.shape)}. Split channels evenly, or pass x twice.`,
    );
  }
  if (x1.dtype !== 'f32' || x2.dtype !== 'f32') {
    throw new OptionError(
      `reversible: streams must be f32, or rounding grows from layer to layer; got x1 ${x1.dtype}, x2 ${x2.dtype}. Cast inside the branches.`,
    );
  }
}

/** All halves in order, and what they read: the parameters of all layers, each once, and what is given. */
function halvesOf(
  layers: readonly ReversibleLayer<Tensor | Outcome>[],
  given: readonly Tensor[],
): { halves: readonly Half[]; read: readonly Tensor[] } {
  const moments = layers.map(({ modules }) => new Moment(modules));
  const all = [...new Set(moments.flatMap(({ parameters }) => parameters))];
  const place = new Map(all.map((parameter, i) => [parameter, i]));
  const read = all.map(({ value }) => value);
  const placesOf = (tensors: readonly Tensor[]): number[] => tensors.map((tensor) => read.push(tensor) - 1);
  const behind = placesOf(given);
  const halves = layers.flatMap(({ f, g, given: own = [] }, i) => {
    const moment = moments[i]!;
    const places = [...moment.parameters.map((parameter) => place.get(parameter)!), ...placesOf(own), ...behind];
    const shared = { moment, given: [...own, ...given], places };
    return [
      { ...shared, name: `f of layer ${i}`, run: f },
      { ...shared, name: `g of layer ${i}`, run: g },
    ];
  });
  return { halves, read };
}

/** The last streams and what each half gave beside; what it decided is added to `decisions`, if given. The tape sees nothing. */
function forward(
  halves: readonly Half[],
  [x1, x2]: Pair<Tensor>,
  decisions?: Decisions[],
): { readonly streams: Pair<Tensor>; readonly beside: readonly Beside[] } {
  return noGradient(() => {
    const streams: Pair<Tensor> = [share(x1), share(x2)];
    const beside = halves.map(({ name, run, given }, i) => {
      const [to, from] = i % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const);
      const { stream, made, rest } = scope(() => {
        const branch = (): Tensor | Outcome => run(streams[from], ...given);
        const once = decisions ? recordDecisions(branch) : { result: branch(), decisions: [] };
        const { stream, ...rest } = outcomeOf(`reversible: ${name}`, once.result);
        checkBranch(name, stream, streams[to]);
        return { stream: accumulate(streams[to], stream), made: once.decisions, rest };
      });
      streams[to] = stream;
      decisions?.push(made);
      return rest;
    });
    return { streams, beside };
  });
}

function checkBranch(name: string, out: Tensor, stream: Tensor): void {
  if (!sameShape(out.shape, stream.shape)) {
    throw new ShapeError(
      `reversible: ${name} must keep the shape ${show(stream.shape)} of the streams; it gave ${show(out.shape)}.`,
    );
  }
  if (!isFloat(out.dtype)) throw new OptionError(`reversible: ${name} must give floats; it gave ${out.dtype}.`);
}

/** The backward pass: the streams between two halves, and the gradients of the loss there and of what is read so far. */
class Backward {
  readonly #streams: Pair<Tensor>;
  readonly #cotangents: Pair<Tensor | undefined>;
  readonly #sums: (Gradient | undefined)[];

  constructor(
    ys: Pair<Tensor>,
    cotangents: readonly (Tensor | undefined)[],
    readonly read: readonly Tensor[],
    readonly needs: readonly boolean[],
  ) {
    this.#streams = [share(ys[0]), share(ys[1])];
    this.#cotangents = [cotangents[0] && share(cotangents[0]), cotangents[1] && share(cotangents[1])];
    this.#sums = read.map(() => undefined);
  }

  /**
   * Goes back over half `i`: the stream it added to, the gradient of the one it took, and those of what it read. `ofLosses` are the
   * cotangents of the losses it gave.
   */
  undo(i: number, half: Half, decisions: Decisions, ofLosses: readonly (Tensor | undefined)[]): void {
    const [to, from] = i % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const);
    const { before, back } = scope(() => {
      const { x, values, out } = this.#again(half, this.#streams[from], decisions, i > 0 || this.needs[from]!);
      const { stream, losses } = out;
      // nobody asks for the x1 before the first half
      const before = i > 0 ? accumulate(this.#streams[to], stream, 'minus') : this.#streams[to];
      const arrived = [stream, ...lossesIn(losses)].flatMap((output, at) => {
        const cotangent = at === 0 ? this.#cotangents[to] : ofLosses[at - 1];
        return cotangent !== undefined && output.requiresGradient ? [{ output, cotangent }] : [];
      });
      if (arrived.length === 0) return { before, back: [] };
      const leaves = [x, ...values];
      const outputs = arrived.map(({ output }) => output);
      checkLeaves(`reversible: ${half.name}`, outputs, leaves);
      const found = arrivals(
        outputs,
        leaves.filter((leaf) => leaf.requiresGradient),
        arrived.map(({ cotangent }) => cotangent),
        { release: true },
      );
      let next = 0;
      return { before, back: leaves.map((leaf) => (leaf.requiresGradient ? found[next++] : undefined)) };
    });
    this.#streams[to] = before;
    const [dx, ...rest] = back;
    this.#cotangents[from] = sumOf(this.#cotangents[from], dx && denseOf(dx));
    rest.forEach((gradient, at) => {
      const place = half.places[at]!;
      this.#sums[place] = sumOf(this.#sums[place], gradient);
    });
  }

  /** A half computed again, recorded on the tape from leaves of its own. */
  #again({ name, run, moment, places }: Half, stream: Tensor, decisions: Decisions, wanted: boolean) {
    const leafOf = (tensor: Tensor, need: boolean): Tensor => {
      const leaf = share(tensor);
      if (need) trackLeaf(leaf);
      return leaf;
    };
    const x = leafOf(stream, wanted);
    const values = places.map((place) => leafOf(this.read[place]!, this.needs[2 + place]!));
    const count = moment.parameters.length;
    const again = (): Tensor | Outcome => moment.during(values.slice(0, count), () => run(x, ...values.slice(count)));
    return {
      x,
      values,
      out: outcomeOf(
        `reversible: ${name}`,
        withGradient(() => repeatDecisions(decisions, again)),
      ),
    };
  }

  /** Of x1, x2 and what is read. */
  gradients(): (Gradient | undefined)[] {
    return [...this.#cotangents, ...this.#sums];
  }
}

const lossesIn = (losses: NamedTensors = {}): Tensor[] => Object.values(losses);

/** The sum of what there is; takes both over. */
function sumOf<G extends Gradient>(total: G | undefined, more: G | undefined): G | undefined {
  // of two tensors it is one
  return total === undefined || more === undefined ? (total ?? more) : (addGradients(total, more) as G);
}
