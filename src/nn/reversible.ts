import { isFloat } from '../core/dtype.js';
import { OptionError, ShapeError } from '../core/errors.js';
import { checkValue } from '../core/requirements.js';
import { sameShape, show } from '../core/shape.js';
import {
  accumulate,
  arrivals,
  checkLeaves,
  checkTensors,
  commonDevice,
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
  type Tensor,
} from '../tensor/index.js';
import { layersWith, type Module } from './module.js';
import { Moment } from './moment.js';

type Branch = (x: Tensor, ...given: Tensor[]) => Tensor;

/** A layer of two branches: `y1 = x1 + f(x2)`, `y2 = x2 + g(y1)`. */
export interface ReversibleLayer {
  /** Whatever has parameters or dropout that `f` or `g` use; a module may belong to several layers. */
  readonly modules: readonly Module[];
  /** Of the second stream and what all layers are given: floats of its shape. */
  readonly f: Branch;
  /** Of the first stream, as `f`. */
  readonly g: Branch;
}

type Pair<T> = [T, T];

/** Half a layer: adds `run` of one stream to the other. Those of even number add to the first stream. */
interface Half {
  readonly name: string;
  readonly run: Branch;
  readonly moment: Moment;
  /** Where the moment's parameters stand among those of all layers, and what is given behind them. */
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
  checkValue('reversible', 'layers', layers, layersWith('f', 'g'));
  checkTensors('reversible', 'given', given);
  const { halves, read } = halvesOf(layers, given);
  checkStreams(x1, x2, read);
  const inputs = [x1, x2, ...read];
  return scope(() => {
    if (!records(inputs)) return forward(halves, [x1, x2], given);
    const decisions: Decisions[] = [];
    const ys = forward(halves, [x1, x2], given, decisions);
    operation(
      'reversible',
      inputs,
      ys,
      (cotangents, needs) => {
        const back = new Backward(ys, cotangents, read, needs);
        for (let i = halves.length - 1; i >= 0; i--) back.undo(i, halves[i]!, decisions[i]!);
        return back.gradients();
      },
      [...ys, ...read, ...decisions.flat(2)],
    );
    return ys;
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
  layers: readonly ReversibleLayer[],
  given: readonly Tensor[],
): { halves: readonly Half[]; read: readonly Tensor[] } {
  const moments = layers.map(({ modules }) => new Moment(modules));
  const all = [...new Set(moments.flatMap(({ parameters }) => parameters))];
  const place = new Map(all.map((parameter, i) => [parameter, i]));
  const behind = given.map((_, i) => all.length + i);
  const halves = layers.flatMap(({ f, g }, i) => {
    const moment = moments[i]!;
    const shared = { moment, places: [...moment.parameters.map((parameter) => place.get(parameter)!), ...behind] };
    return [
      { ...shared, name: `f of layer ${i}`, run: f },
      { ...shared, name: `g of layer ${i}`, run: g },
    ];
  });
  return { halves, read: [...all.map(({ value }) => value), ...given] };
}

/** The last streams; what each half decided is added to `decisions` where they are given. Nothing is recorded on the tape. */
function forward(
  halves: readonly Half[],
  [x1, x2]: Pair<Tensor>,
  given: readonly Tensor[],
  decisions?: Decisions[],
): Pair<Tensor> {
  return noGradient(() => {
    const streams: Pair<Tensor> = [share(x1), share(x2)];
    halves.forEach(({ name, run }, i) => {
      const [to, from] = i % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const);
      const { stream, made } = scope(() => {
        const once = decisions && recordDecisions(() => run(streams[from], ...given));
        const out = once ? once.result : run(streams[from], ...given);
        checkBranch(name, out, streams[to]);
        return { stream: accumulate(streams[to], out), made: once?.decisions };
      });
      streams[to] = stream;
      if (made) decisions?.push(made);
    });
    return streams;
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
  readonly #sums: (Tensor | undefined)[];

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

  /** Goes back over half `i`: the stream it added to, the gradient of the one it took, and those of what it read. */
  undo(i: number, half: Half, decisions: Decisions): void {
    const [to, from] = i % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const);
    const { before, back } = scope(() => {
      const { x, values, out } = this.#again(half, this.#streams[from], decisions, i > 0 || this.needs[from]!);
      // nobody asks for the x1 before the first half
      const before = i > 0 ? accumulate(this.#streams[to], out, 'minus') : this.#streams[to];
      const cotangent = this.#cotangents[to];
      if (cotangent === undefined || !out.requiresGradient) return { before, back: [] };
      const leaves = [x, ...values];
      checkLeaves(`reversible: ${half.name}`, [out], leaves);
      const found = arrivals(
        [out],
        leaves.filter((leaf) => leaf.requiresGradient),
        [cotangent],
        { release: true },
      );
      let next = 0;
      return { before, back: leaves.map((leaf) => (leaf.requiresGradient ? found[next++] : undefined)) };
    });
    this.#streams[to] = before;
    const [dx, ...rest] = back;
    this.#cotangents[from] = sumOf(this.#cotangents[from], dx);
    rest.forEach((gradient, at) => {
      const place = half.places[at]!;
      this.#sums[place] = sumOf(this.#sums[place], gradient);
    });
  }

  /** A half computed again, recorded on the tape from leaves of its own. */
  #again({ run, moment, places }: Half, stream: Tensor, decisions: Decisions, wanted: boolean) {
    const leafOf = (tensor: Tensor, need: boolean): Tensor => {
      const leaf = share(tensor);
      if (need) trackLeaf(leaf);
      return leaf;
    };
    const x = leafOf(stream, wanted);
    const values = places.map((place) => leafOf(this.read[place]!, this.needs[2 + place]!));
    const count = moment.parameters.length;
    const again = (): Tensor => moment.during(values.slice(0, count), () => run(x, ...values.slice(count)));
    const out = withGradient(() => repeatDecisions(decisions, again));
    return { x, values, out };
  }

  /** Of x1, x2 and what is read. */
  gradients(): (Tensor | undefined)[] {
    return [...this.#cotangents, ...this.#sums];
  }
}

/** The sum of what there is; takes both over. */
function sumOf(total: Tensor | undefined, more: Tensor | undefined): Tensor | undefined {
  if (total === undefined || more === undefined) return total ?? more;
  const sum = accumulate(total, more);
  more.dispose();
  return sum;
}
