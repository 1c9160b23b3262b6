import type { AnyOptions, AttentionShape, ForwardResult, Mechanism } from '../attention/index.js';
import { constantOf, learned } from '../attention/parameters.js';
import { withoutPadding } from '../attention/patterns/without-padding.js';
import { CapabilityError, OptionError, ShapeError } from '../core/errors.js';
import { memoised } from '../core/memo.js';
import { checkValues, made } from '../core/requirements.js';
import { show } from '../core/shape.js';
import { cast, mul, reshape, sigmoid, split, splitHeads, transpose } from '../ops/index.js';
import { alibi } from '../positions/index.js';
import type { BothSidesParameters } from '../positions/both-sides.js';
import { softcap, type Score } from '../scores/index.js';
import { commonDevice, scope, someTensor, TextPlace, type Tensor } from '../tensor/index.js';
import { checkFactored, checkHeads, checkGlobals, checkPooling, checkSinks } from './attention-checks.js';
import { attentionOptions, type AttentionOptions } from './attention-options.js';
import { withSinks } from './attention-sinks.js';
import { checkBranch, someLists, type BranchContext, type Mixer } from './layer.js';
import { FactoredProjection } from './factored.js';
import { Linear } from './linear.js';
import { Module } from './module.js';
import type { Outcome } from './outcome.js';
import type { Parameter } from './parameter.js';
import { offsets, type Offset } from './position-options.js';
import { Positions } from './positions.js';
import { headsOf, QueryKeyNorm } from './query-key-norm.js';
import { relativeParameters, relativeTo } from './relative.js';
import { pooled, pooledRows, type RowPooling } from './row-pooling.js';
import { stepSeed } from './step-seed.js';
import { TransientGlobals } from './transient-globals.js';

const inOver = { source: someTensor, offset: offsets, globalTokens: someLists, again: made('Positions', Positions) };

/** Queries, keys and values as heads. */
export interface Projected {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  /** Further projections of the mechanism. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** `[B, L, H·E]`: what heads give is times the sigmoid of it, where there is a gate. */
  readonly gate?: Tensor;
}

/** The offset of rows that begin later. */
const movedBy = (offset: Offset, rows: number): Offset => {
  if (rows === 0) return offset;
  if (offset instanceof TextPlace)
    throw new OptionError('Attention: a place that moves on is of as many queries as keys.');
  return typeof offset === 'number' ? offset + rows : offset.map((one) => one + rows);
};

/**
 * Multi-head attention by any mechanism: `[B, L, features] → [B, L, features]`, `heads(x·W_q), heads(x·W_k), heads(x·W_v)` attended
 * to, side by side again, times W_out (Vaswani et al. 2017, arXiv 1706.03762, section 3.2.2; grouped heads: Ainslie et al. 2023,
 * arXiv 2305.13245). What the mechanism learns or draws are parameters of the layer. Computed and stored in the dtype of x.
 *
 * @throws OptionError, CapabilityError or ShapeError, as the mechanism, for options and sizes that it does not take.
 */
export class Attention extends Module implements Mixer {
  readonly mechanism: Mechanism;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly valueDim: number;
  readonly causal: boolean;
  /** Whether keys and values are projected apart, so that they may be of other rows. */
  readonly separate: boolean;
  readonly positions: Positions | undefined;
  readonly globals: TransientGlobals | undefined;
  readonly resize: Mixer['resize'];
  readonly base: Mixer['base'];
  readonly #pooling: RowPooling | undefined;
  readonly #settings: Readonly<Record<string, unknown>>;
  readonly #query: Linear | undefined;
  readonly #projection: Linear | FactoredProjection;
  readonly #out: Linear;
  readonly #further: readonly (readonly [name: string, of: 'q' | 'k' | 'v', projection: Linear])[];
  readonly #own: Readonly<Record<string, Parameter>>;
  readonly #relative: Readonly<Record<string, Parameter>> | undefined;
  readonly #norms: QueryKeyNorm | undefined;
  readonly #scale: number | undefined;
  readonly #softcap: number | undefined;
  readonly #sinks: Parameter | undefined;
  readonly #gate: Linear | undefined;
  readonly #zeroPadding: boolean;

  constructor(
    readonly features: number,
    options: AttentionOptions,
  ) {
    super();
    checkValues('Attention', options, attentionOptions, ['heads', 'causal', 'mechanism', 'length']);
    const { heads, kvHeads = heads, headDim = features / heads, causal, mechanism, positions } = options;
    const { projection, scale, softcap: cap, queryKeyNorm, sinks = false, gate = false } = options;
    const { settings = {}, length, pooling, bias = false, outInit } = options;
    const { separate = pooling !== undefined || bias === 'kv-out' } = options;
    checkHeads(features, heads, kvHeads, headDim);
    if (projection) checkFactored(features, options, separate);
    if (sinks) checkSinks(mechanism);
    if (options.globals) checkGlobals(options, separate);
    [this.mechanism, this.heads, this.kvHeads, this.headDim, this.causal] = [
      mechanism,
      heads,
      kvHeads,
      headDim,
      causal,
    ];
    this.separate = separate;
    this.positions = positions;
    const { definition } = mechanism;
    const L = pooling ? pooledRows(length, pooling) : length;
    const { valueDim = headDim } = options;
    this.valueDim = valueDim;
    if (valueDim !== headDim && (queryKeyNorm ?? projection) !== undefined) {
      throw new OptionError(
        `Attention: values of ${valueDim} beside queries of ${headDim} take no queryKeyNorm and no projection of their own; leave it out.`,
      );
    }
    const shape = { B: 1, H: heads, G: kvHeads, L, S: length, D: headDim, E: valueDim };
    if (pooling) {
      checkPooling(this, pooling);
      this.resize = (rows) => pooledRows(rows, pooling);
      this.base = (x, { lengths, again } = {}) => (again ? x : pooled(x, pooling, lengths));
    }
    this.#pooling = pooling;
    const { values } = mechanism.settle(shape, {
      ...settings,
      causal,
      ...((positions?.changesScores || cap !== undefined) && { score: alibi() }),
    });
    [this.#scale, this.#softcap] = [scale, cap];
    this.#settings = values;
    if (bias === 'kv-out' && !separate) {
      throw new OptionError('Attention: bias kv-out is of queries that are projected apart; leave separate out.');
    }
    const ofQueries = bias === true || bias === 'qkv';
    const within = ofQueries || bias === 'kv-out';
    const query = heads * headDim;
    const keyValue = kvHeads * (headDim + valueDim);
    this.#query = separate ? this.child('query', new Linear(features, query, { bias: ofQueries })) : undefined;
    this.#projection = separate
      ? this.child('keyValue', new Linear(features, keyValue, { bias: within }))
      : this.child(
          'qkv',
          projection
            ? new FactoredProjection(features, projection)
            : new Linear(features, query + keyValue, { bias: within }),
        );
    this.#further = Object.entries(definition.inputs ?? {}).map(([name, of]) => {
      const columns = of === 'q' ? query : kvHeads * (of === 'k' ? headDim : valueDim);
      const own = of === 'q' ? ofQueries : within;
      return [name, of, this.child(name, new Linear(features, columns, { bias: own }))] as const;
    });
    this.#out = this.child(
      'out',
      new Linear(heads * valueDim, features, {
        bias: bias === true || bias === 'out' || bias === 'kv-out',
        ...(outInit && { init: outInit }),
      }),
    );
    this.#gate = gate ? this.child('gate', new Linear(features, heads * valueDim, { bias: ofQueries })) : undefined;
    this.#own = this.#mechanismParameters(shape, values);
    this.#norms =
      queryKeyNorm && this.child('queryKeyNorm', new QueryKeyNorm({ heads, kvHeads, headDim }, queryKeyNorm));
    this.globals = options.globals && this.child('globals', new TransientGlobals(features, options.globals));
    this.#zeroPadding = options.zeroPadding === true && !separate;
    this.#sinks = sinks ? this.parameter('sinks', learned([heads], constantOf(0))) : undefined;
    if (positions?.method === 'transformer-xl') {
      const specs = Object.entries(relativeParameters(this));
      this.#relative = Object.fromEntries(specs.map(([name, spec]) => [name, this.parameter(name, spec)]));
    }
  }

  #mechanismParameters(shape: AttentionShape, values: Readonly<Record<string, unknown>>): Record<string, Parameter> {
    const specs = this.mechanism.definition.parameters?.(shape, values as never) ?? {};
    return Object.fromEntries(Object.entries(specs).map(([name, spec]) => [name, this.parameter(name, spec)]));
  }

  /** Whether a row's queries and keys are of rows before it too. */
  get convolves(): boolean {
    return this.#projection instanceof FactoredProjection && this.#projection.options.kernel > 1;
  }

  get uses(): readonly Module[] {
    return [this.positions, this.globals?.positions].filter((one) => one !== undefined);
  }

  /**
   * `[B, L, features]`, and what the mechanism gives beside it.
   *
   * @throws ShapeError unless x is `[B, L, features]`; what the mechanism throws.
   */
  forward(x: Tensor, context: BranchContext = {}): Outcome {
    checkBranch('Attention', x, context);
    const { offset = 0, lengths, again } = context;
    const pooling = again ? undefined : this.#pooling;
    if (context.mask !== undefined && this.convolves) {
      throw new CapabilityError(
        `Attention ${this.path}: projection factored takes no mask of pairs: its queries and keys are of rows before, which a mask may hide. Take kernel 1, or texts one by one.`,
      );
    }
    return scope(() => {
      const [rows, source] = pooling ? [pooled(x, pooling, lengths), x] : [x, context.source];
      const projected = this.project(rows, { source, offset, globalTokens: context.globalTokens, again });
      const { losses, state, updates, ...near } = this.#attend(projected, context);
      const { out, logsumexp } = this.globals ? this.#withGlobals(this.globals, near, projected.q, x, context) : near;
      return {
        ...(losses && { losses }),
        ...(state && { state }),
        ...(updates && { updates: new Map(Object.entries(updates).map(([name, next]) => [this.#own[name]!, next!])) }),
        stream: this.combine(
          this.#zeroPadding && lengths ? cast(withoutPadding(out, lengths), out.dtype) : out,
          logsumexp,
          projected.gate,
        ),
      };
    });
  }

  #withGlobals(
    globals: TransientGlobals,
    near: Pick<ForwardResult, 'out' | 'logsumexp'>,
    q: Tensor,
    x: Tensor,
    { lengths, mask }: BranchContext,
  ): Pick<ForwardResult, 'out' | 'logsumexp'> {
    if (mask !== undefined) {
      throw new CapabilityError(
        `Attention ${this.path}: keys that stand for blocks take no mask of pairs: it may hide rows of a block. Give lengths.`,
      );
    }
    const blocks = globals.blocks(x.shape[0]!, x.shape[1]!, lengths);
    if (blocks.count === 0) return near;
    const projected = this.#projection.forward(globals.rows(x, blocks, lengths));
    const [, k, v] = this.#norms?.forward(projected) ?? headsOf(projected, undefined, this);
    const scale = this.#scale ?? 1 / Math.sqrt(this.headDim);
    return globals.beside({ out: near.out, logsumexp: near.logsumexp! }, { q, k, v }, { blocks, scale });
  }

  /** Queries, keys and values of `x [B, L, features]`, turned to their positions. */
  project(x: Tensor, over: Pick<BranchContext, 'source' | 'offset' | 'globalTokens' | 'again'> = {}): Projected {
    commonDevice('Attention', [x]);
    checkValues('Attention', over, inOver);
    if (over.source !== undefined && !this.separate) {
      throw new OptionError(`Attention ${this.path}: source is for a layer that is made with { separate: true }.`);
    }
    const { source, offset = 0, globalTokens, again } = over;
    if (x.rank !== 3 || x.shape[2] !== this.features) {
      throw new ShapeError(`Attention ${this.path}: x must be [B,L,${this.features}]; got ${show(x.shape)}.`);
    }
    const { heads, kvHeads } = this;
    return scope(() => {
      const keyRows = source ?? x;
      const projected = this.#projection.forward(keyRows);
      const queries = this.#query?.forward(x);
      const [q, k, v] = this.#norms?.forward(projected, queries) ?? headsOf(projected, queries, this);
      const ahead = this.#query && !this.causal ? 0 : keyRows.shape[1]! - x.shape[1]!;
      const first = movedBy(offset, ahead);
      const positions = again ?? this.positions;
      const places = positions?.places(this.#pooling !== undefined && !again);
      const placed = (of: 'q' | 'k' | 'v', heads: Tensor): Tensor => {
        if (of === 'v' || places === undefined) return heads;
        return positions!.rotate(heads, of === 'q' ? first : offset, of === 'q' ? places.queries : places.keys);
      };
      const { readsInputs } = this.mechanism.definition;
      const read = readsInputs?.(this.#settings as never, globalTokens) === false ? [] : this.#further;
      const inputs = read.map(([name, of, projection]) => {
        const [split] = splitHeads(projection.forward(of === 'q' ? x : keyRows), [of === 'q' ? heads : kvHeads]);
        return [name, placed(of, split!)];
      });
      return {
        q: placed('q', q),
        k: placed('k', k),
        v,
        inputs: Object.fromEntries(inputs) as Record<string, Tensor>,
        ...(this.#gate && { gate: this.#gate.forward(x) }),
      };
    });
  }

  /** Queries `[B, H, L, D]` alone, of an attention to other rows whose `keys` are kept. */
  queries(x: Tensor): Tensor {
    const query = this.#apart('queries', x);
    return scope(() => {
      const rows = query.forward(x);
      return this.#norms?.queries(rows) ?? splitHeads(rows, [this.heads])[0]!;
    });
  }

  /** Keys and values `[B, G, S, D]` alone of the rows `[B, S, features]` that it attends to. */
  keys(source: Tensor): Pick<Projected, 'k' | 'v'> {
    this.#apart('keys', source);
    return scope(() => {
      const { kvHeads, headDim } = this;
      const rows = this.#projection.forward(source);
      const [k, v] = split(rows, [kvHeads * headDim, kvHeads * headDim], { axis: 2 }) as [Tensor, Tensor];
      return { k: this.#norms?.keys(k) ?? splitHeads(k, [kvHeads])[0]!, v: splitHeads(v, [kvHeads])[0]! };
    });
  }

  #apart(what: string, x: Tensor): Linear {
    commonDevice('Attention', [x]);
    if (x.rank !== 3 || x.shape[2] !== this.features) {
      throw new ShapeError(`Attention ${this.path}: ${what}: takes [B,L,${this.features}]; got ${show(x.shape)}.`);
    }
    if (this.#query && !this.positions && this.#further.length === 0) return this.#query;
    throw new OptionError(
      `Attention ${this.path}: ${what}: is for attention to other rows, without positions: made with { separate: true }.`,
    );
  }

  /**
   * Heads `[B, H, L, D]` side by side, projected: `[B, L, features]`. Where heads have sinks, `logsumexp` `[B, H, L]` of their scores says how
   * much goes to those; where there is a gate, `gate` `[B, L, H·D]` is what `project` gave.
   */
  combine(out: Tensor, logsumexp?: Tensor, gate?: Tensor): Tensor {
    commonDevice('Attention', [out, ...[logsumexp, gate].filter((one) => one !== undefined)]);
    if (this.#sinks && logsumexp === undefined) {
      throw new OptionError(`Attention ${this.path}: combine: with sinks it takes logsumexp beside out; got none.`);
    }
    if ((this.#gate === undefined) !== (gate === undefined)) {
      const rule = this.#gate ? 'with a gate it takes what project gave for it' : 'it has no gate';
      throw new OptionError(`Attention ${this.path}: combine: ${rule}; got ${gate ? show(gate.shape) : 'none'}.`);
    }
    const [B, H, L, D] = out.shape as [number, number, number, number];
    return scope(() => {
      const heads = this.#sinks ? withSinks(out, logsumexp!, this.#sinks.value) : out;
      const rows = reshape(transpose(heads, [0, 2, 1, 3]), [B, L, H * D]);
      return this.#out.forward(gate ? mul(rows, sigmoid(gate)) : rows);
    });
  }

  /** Everything a call of the mechanism takes beside tensors of the tokens: also what its decoder is made with. */
  callOptions(): AnyOptions {
    const parameters = Object.fromEntries(Object.entries(this.#own).map(([name, { value }]) => [name, value]));
    const [cap, own] = [this.#softcap, this.positions?.score()];
    const score = cap === undefined ? own : capped(cap, own);
    return {
      ...this.#settings,
      causal: this.causal,
      ...(this.#scale !== undefined && { scale: this.#scale }),
      ...(score && { score }),
      parameters,
    };
  }

  #attend(
    projected: Projected,
    { lengths, mask, globalTokens, state, losses, types, again }: BranchContext,
  ): ForwardResult {
    const { q, k, v, inputs } = projected;
    const relative = this.#relativeTerms(projected, types, again);
    return this.mechanism.run(relative?.q ?? q, relative?.k ?? k, v, {
      ...this.callOptions(),
      ...(relative && { scale: 1 / Math.sqrt(this.headDim) }),
      ...(relative?.score && { score: relative.score }),
      inputs,
      ...(lengths && { lengths }),
      ...(mask && { mask }),
      ...(globalTokens && { globalTokens }),
      ...(state && { state }),
      ...(losses && { losses }),
      training: stepSeed(this, this.mechanism.name),
    });
  }

  /** Queries, and a change of their scores or longer keys, that have the terms of distances, where positions are these. */
  #relativeTerms(
    { q, k }: Projected,
    types: Tensor | undefined,
    again: Positions | undefined,
  ): ReturnType<typeof relativeTo> | undefined {
    if (this.#relative === undefined) return undefined;
    const positions = again ?? this.positions!;
    const all = { ...this.#relative, ...positions.shared };
    const values = Object.fromEntries(Object.entries(all).map(([name, { value }]) => [name, value]));
    const pooled = this.#pooling !== undefined && !again;
    const { features, heads, headDim, causal, mechanism } = this;
    return relativeTo(
      { features, heads, headDim, causal, mechanism, positions },
      values as unknown as BothSidesParameters,
      { q, k, pooled, types },
    );
  }
}

// the same change for all layers, so that they share what was planned for it
const capped = memoised((cap: number, own?: Score): Score => (own ? softcap(cap).andThen(own) : softcap(cap)), {
  by: (cap, own) => (own ? [own, cap] : [cap]),
});
