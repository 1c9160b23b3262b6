import { constantOf, learned, normalOf } from '../attention/parameters.js';
import { fromBf16, toBf16 } from '../core/dtype.js';
import { OptionError } from '../core/errors.js';
import { checkValue, checkValues, flag, refuse, wholeNumber } from '../core/requirements.js';
import { add, cast, cumulativeSum, notEqual, reshape, where } from '../ops/index.js';
import {
  alibi,
  learnedPositions,
  rope,
  ropeAngles,
  ropeFrequencies,
  rotatePairs,
  sinusoidal,
  t5Bias,
  type RopeScaling,
} from '../positions/index.js';
import { angleTable } from '../positions/angles.js';
import type { Places } from '../positions/both-sides.js';
import { sinusoidalRows } from '../positions/sinusoidal.js';
import { alibiSlopes, type Score } from '../scores/index.js';
import { t5BlockBias } from '../scores/t5.js';
import type { Device } from '../devices/device.js';
import {
  commonDevice,
  keep,
  noGradient,
  scope,
  someDevice,
  tensor,
  TextPlace,
  type Fed,
  type Tensor,
} from '../tensor/index.js';
import { GridTable, gridReasons } from './grid-table.js';
import { Module } from './module.js';
import {
  extent,
  methods,
  needed,
  offsets,
  ofSizes,
  segmentReasons,
  takes,
  type AlibiOptions,
  type LearnedPositions,
  type Offset,
  type PositionOptions,
  type PositionSizes,
  type SinusoidalPositions,
} from './position-options.js';
import type { Parameter } from './parameter.js';

/** Positions of `length` rows of each sequence. */
const each = (length: number, offset: readonly number[], stride = 1): number[] =>
  offset.flatMap((first) => Array.from({ length }, (_, i) => first + stride * i));

/**
 * The positions of a stack of layers, shared by all of them: rows that are added to the embeddings (sinusoidal, learned), angles by
 * which queries and keys turn (rope), or a change of the scores (alibi, t5, whose table all layers share as in the paper).
 * `transformer-xl` belongs to each layer, as its projection does: see `Attention`.
 */
export class Positions extends Module {
  readonly #table: Parameter | undefined;
  readonly #grid: GridTable | undefined;
  /** Biases of queries that all layers share, by their names in a layer. */
  readonly shared: Readonly<Record<string, Parameter>>;
  #fixedScore: Score | undefined;
  /** Rows and angles of the lengths seen last: they are made on the host, and every layer and step reads the same. */
  readonly #made = new Map<string, Tensor>();

  constructor(
    readonly options: PositionOptions,
    readonly sizes: PositionSizes,
  ) {
    super();
    const { method } = Object(options) as PositionOptions;
    const own = methods.holds(method) ? takes[method] : {};
    checkValues('Positions', options, { method: methods, ...own }, ['method']);
    checkValues('Positions', sizes, ofSizes, Object.keys(needed));
    if (options.method === 'transformer-xl') refuse('Positions', segmentReasons(options.segments));
    const { features, heads, headDim, length } = sizes;
    const common = options.method === 'transformer-xl' && options.shared ? ['contentBias', 'positionBias'] : [];
    const zeros = learned([heads, headDim], constantOf(0));
    this.shared = Object.fromEntries(common.map((name) => [name, this.parameter(name, zeros)]));
    if (options.method === 'rope') {
      const { rotary = headDim } = options;
      if (rotary % 2 !== 0 || rotary > headDim) {
        throw new OptionError(
          `Positions: rope turns pairs of components; ${options.rotary === undefined ? 'headDim' : 'rotary'} must be even and at most headDim ${headDim}; got ${rotary}.`,
        );
      }
      // refused now, not at the first rotation
      ropeFrequencies(this.#rope);
    }
    if (options.method === 'learned' && options.grid) {
      refuse('Positions', gridReasons(options.grid, length, features));
      this.#grid = this.child('grid', new GridTable(options.grid));
    } else if (options.method === 'learned') {
      const { first = 0, rows = first + length } = options;
      this.#table = this.parameter('table', learned([rows, features], normalOf(0.02)));
    } else if (options.method === 't5') {
      this.#table = this.parameter('table', learned([options.buckets ?? 32, heads], normalOf(0.02)));
    }
  }

  get method(): PositionOptions['method'] {
    return this.options.method;
  }

  /** Whether `score` gives a change. */
  get changesScores(): boolean {
    return this.method === 'alibi' || this.method === 't5';
  }

  /** Rows to add to the embeddings of `length` tokens from position `offset` on, `[length, features]`; `[B, length, features]` of a list. */
  embed(length: number, offset: Offset, device: Device): Tensor | undefined {
    checkValue('Positions', 'length', length, extent);
    checkValue('Positions', 'offset', offset, offsets);
    checkValue('Positions', 'device', device, someDevice);
    if (this.method !== 'learned' && this.method !== 'sinusoidal') return undefined;
    if (offset instanceof TextPlace) return this.#embedAt(offset);
    if (typeof offset !== 'number') return this.#embedEach(length, offset, device);
    if (this.#grid) return this.#ofGrid(length, offset, device);
    if (this.method === 'learned')
      return learnedPositions(this.#table!.value, length, { offset: offset + this.#first });
    return this.#remember(`rows ${offset} ${length}`, device, () =>
      sinusoidal(length, this.sizes.features, { offset: offset + this.#first, device, ...this.#sines }),
    );
  }

  #ofGrid(length: number, offset: number, device: Device): Tensor {
    const rows = Int32Array.from({ length }, (_, i) => offset + i);
    return scope(() => this.#grid!.forward(tensor(rows, [length], { device })));
  }

  /**
   * The same for tokens `[B, L]`, i32, where the method asks for what they are: learned positions that leave `padding` out.
   *
   * @throws OptionError for a position that the table does not have.
   */
  embedTokens(tokens: Tensor, offset: Offset): Tensor | undefined {
    commonDevice('Positions', [tokens]);
    const { padding } = this.#learned;
    const [, L = 1] = tokens.shape;
    if (padding === undefined) return this.embed(L, offset, tokens.device);
    checkValue('Positions', 'offset', offset, offsets);
    return scope(() => learnedPositions(this.#table!.value, this.#counted(tokens, padding, offset)));
  }

  /** Rows of the table `[B, L]`: from the first on for what is not padding. */
  #counted(tokens: Tensor, padding: number, offset: Offset): Tensor {
    return noGradient(() =>
      scope(() => {
        const real = cast(notEqual(tokens, padding), 'f32');
        const past = this.#past(offset, tokens.device);
        // whole numbers below 2²⁴, which f32 holds
        const rows = add(add(cumulativeSum(real, { axis: 1 }), past), this.#first - 1);
        return cast(where(real, rows, Math.max(0, this.#first - 1)), 'i32');
      }),
    );
  }

  /** Tokens before, `[B, 1]`. */
  #past(offset: Offset, device: Device): Tensor {
    const asTensor = (starts: readonly number[]): Fed => ({
      shape: [starts.length, 1],
      dtype: 'f32',
      data: (now) => Float32Array.from(now),
    });
    if (offset instanceof TextPlace) return offset.feed(this, 'past', () => asTensor(offset.starts));
    const fed = asTensor([offset].flat());
    return tensor(fed.data([offset].flat()), fed.shape, { device });
  }

  /** The same for one token of each text, `[B, 1, features]`. */
  #embedAt(place: TextPlace): Tensor {
    const B = place.starts.length;
    const { features } = this.sizes;
    if (this.method === 'sinusoidal') {
      return place.feed(this, 'rows', () => ({
        shape: [B, 1, features],
        dtype: 'f32',
        data: (starts) =>
          sinusoidalRows(
            starts.map((start) => start + this.#first),
            features,
            this.#sines,
          ),
      }));
    }
    const table = this.#table?.value;
    const most = this.#grid ? this.#grid.grid.shape[0] * this.#grid.grid.shape[1] : table!.shape[0]!;
    const rows = place.feed(this, 'places', () => ({
      shape: [B, 1],
      dtype: 'i32',
      data: (starts) => Int32Array.from(starts, (start) => start + this.#first),
      below: most,
    }));
    return this.#grid?.forward(rows) ?? learnedPositions(table!, rows);
  }

  /** `[B, length, features]`. */
  #embedEach(length: number, offset: readonly number[], device: Device): Tensor {
    const positions = Int32Array.from(each(length, offset));
    const shape = [offset.length, length];
    if (this.#grid) return scope(() => this.#grid!.forward(tensor(positions, shape, { device })));
    return scope(() =>
      this.method === 'learned'
        ? learnedPositions(this.#table!.value, tensor(positions, shape, { device }), { offset: this.#first })
        : reshape(sinusoidal(positions, this.sizes.features, { offset: this.#first, device, ...this.#sines }), [
            ...shape,
            this.sizes.features,
          ]),
    );
  }

  /**
   * Where queries and keys of a layer stand; `pooled`: where its queries are of two rows each. Distances alone count, so the first is where
   * all are at least 0.
   */
  places(pooled = false): { readonly queries: Places; readonly keys: Places } {
    checkValue('Positions', 'pooled', pooled, flag);
    const { stride = 1, separateClass = false } = this.sizes;
    const keys = { first: pooled && separateClass ? stride : 0, stride };
    return { queries: pooled ? { first: 0, stride: 2 * stride } : keys, keys };
  }

  /** Queries or keys `[B, H, L, D]` from position `offset` on, turned where the method turns them. */
  rotate(x: Tensor, offset: Offset, { first, stride }: Places = this.places().keys): Tensor {
    commonDevice('Positions', [x]);
    if (typeof offset === 'number') checkValue('Positions', 'offset', offset, wholeNumber);
    else checkValue('Positions', 'offset', offset, offsets);
    if (this.method !== 'rope') return x;
    const rule = this.#rope;
    const length = x.shape[2]!;
    const own = { device: x.device, ...rule };
    if (offset instanceof TextPlace) {
      const angles = offset.feed(this, `angles ${first}`, () => ({
        shape: [offset.starts.length, 1, rule.rotaryDim],
        dtype: 'f32',
        data: (starts) =>
          angleTable(
            'rope',
            starts.map((start) => start + first),
            rule,
          ).table,
      }));
      return rotatePairs(x, angles);
    }
    if (typeof offset !== 'number') {
      const shape = [offset.length, length, rule.rotaryDim];
      const all = offset.map((one) => one + first);
      const made = (): Tensor => scope(() => reshape(ropeAngles(each(length, all, stride), own), shape));
      return rotatePairs(x, this.#remember(`angles ${all.join()} each, ${length}, ${stride}`, x.device, made));
    }
    const start = offset + first;
    if (length === 1) return rope(x, { offset: start, ...rule });
    const angles = this.#remember(`angles ${start} ${length} ${stride}`, x.device, () =>
      stride === 1 ? ropeAngles(length, { offset: start, ...own }) : ropeAngles(each(length, [start], stride), own),
    );
    return rotatePairs(x, angles);
  }

  /** The change of the scores, if the method is one. */
  score(): Score | undefined {
    const { options, sizes } = this;
    if (options.method === 'alibi') return (this.#fixedScore ??= alibiOf(options, sizes.heads));
    if (options.method !== 't5') return undefined;
    const { buckets = 32, maxDistance = 128 } = options;
    return t5Bias(this.#table!.value, { buckets, maxDistance, bidirectional: !sizes.causal });
  }

  /** The same for keys that stand for blocks of rows, whose distances count in blocks. @internal */
  blockScore(of: Int32Array, whole: readonly number[]): Score | undefined {
    const { options, sizes } = this;
    if (options.method !== 't5') return undefined;
    const { buckets = 32, maxDistance = 128 } = options;
    return t5BlockBias(this.#table!.value, { buckets, maxDistance, bidirectional: !sizes.causal }, { of, whole });
  }

  /** What a text that grows to `maxLength` tokens, those before kept as they are, breaks; undefined where it breaks nothing. */
  against(maxLength: number): string | undefined {
    checkValue('Positions', 'maxLength', maxLength, extent);
    const { options, sizes } = this;
    const { grid } = this.#learned;
    const reach = grid
      ? grid.shape[0] * grid.shape[1]
      : (this.#learned.rows ?? sizes.length + this.#first) - this.#first;
    if (options.method === 'learned' && maxLength > reach) {
      return `the model learned ${reach} positions, so a text has at most ${reach} tokens`;
    }
    const { scaling } = this.#rope;
    const grows = scaling?.type === 'dynamic' || scaling?.type === 'longrope';
    if (!grows || scaling.length !== undefined || !(maxLength > scaling.originalLength)) return undefined;
    return (
      `${scaling.type} scaling turns all tokens anew at each length beyond ${scaling.originalLength}, and those before are kept as they were; ` +
      `set position.scaling.length, take another scaling, or a maxLength of at most ${scaling.originalLength}`
    );
  }

  get #learned(): LearnedPositions {
    return this.options.method === 'learned' ? this.options : {};
  }

  /** Row of a learned table that position 0 reads, or the position that the first token has. */
  get #first(): number {
    const { options } = this;
    return ('first' in options ? options.first : undefined) ?? 0;
  }

  get #sines(): Pick<SinusoidalPositions, 'variant'> {
    const { options } = this;
    return options.method === 'sinusoidal' && options.variant ? { variant: options.variant } : {};
  }

  /** The options of rotary positions; none for another method. */
  get #rope(): { readonly rotaryDim: number; readonly base?: number; readonly scaling?: RopeScaling } {
    const { options, sizes } = this;
    if (options.method !== 'rope') return { rotaryDim: sizes.headDim };
    const { base, scaling, rotary: rotaryDim = sizes.headDim } = options;
    return { rotaryDim, ...(base !== undefined && { base }), ...(scaling && { scaling }) };
  }

  override dispose(): void {
    super.dispose();
    for (const made of this.#made.values()) made.dispose();
    this.#made.clear();
  }

  #remember(name: string, device: Device, make: () => Tensor): Tensor {
    const known = this.#made.get(name);
    if (known !== undefined && known.device === device) return known;
    if (known !== undefined || this.#made.size >= MOST_MADE) {
      for (const made of this.#made.values()) made.dispose();
      this.#made.clear();
    }
    const made = keep(make());
    this.#made.set(name, made);
    return made;
  }
}

/** The official change where nothing of it is changed. */
function alibiOf({ exponent, factor = 1, rounding }: AlibiOptions, heads: number): Score {
  if (exponent === undefined && factor === 1 && rounding === undefined) return alibi();
  const slopes = alibiSlopes(heads, { ...(exponent !== undefined && { exponent }) });
  const rounded = rounding === undefined ? slopes : slopes.map((slope) => fromBf16(toBf16(slope)));
  return alibi(rounded.map((slope) => slope * factor));
}

/** Training and evaluation use one length each. */
const MOST_MADE = 4;
