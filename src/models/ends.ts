import { constantOf, learned } from '../attention/parameters.js';
import { CapabilityError, OptionError, ShapeError } from '../core/errors.js';
import { checkValue, checkValues, flag, oneOf } from '../core/requirements.js';
import { show } from '../core/shape.js';
import { AdaptiveEmbedding, AdaptiveSoftmax, Dropout, Embedding, Linear, Module, type Parameter } from '../nn/index.js';
import { add, gatherRows, matmul, mul, reshape, tanh } from '../ops/index.js';
import { observed } from '../nn/observe.js';
import { rowsOf } from '../nn/rows.js';
import { commonDevice, scope, someTensor, type Tensor } from '../tensor/index.js';
import { layersOf } from './config-layers.js';
import { rowWidth } from './config-ends.js';
import { checkConfig, type ModelConfig } from './config.js';
import { Entry } from './entry.js';
import { GivenRows } from './given-rows.js';
import { likeliest, tokenLoss } from './loss.js';
import { reductions, type Loss, type LossOptions, type TokenBatch } from './model.js';
import { Transform, type TransformOptions } from './transform.js';

const halves = oneOf(['encoder', 'decoder']);

/** Embeddings, their dropout, and logits of the same or another table: the two ends of every model. */
export class Ends extends Module {
  readonly embedding: Embedding | AdaptiveEmbedding | GivenRows;
  readonly #entry: Entry | undefined;
  /** Of the second half of an encoder–decoder. */
  readonly #decoderEntry: Entry | undefined;
  readonly #dropout: Dropout;
  readonly #transform: Transform | undefined;
  readonly #head: Linear | undefined;
  readonly #bias: Parameter | undefined;
  readonly #scale: number;
  readonly #adaptive: AdaptiveSoftmax | undefined;

  constructor(readonly config: ModelConfig) {
    super();
    checkConfig('model', config);
    const { vocabulary, outputs = vocabulary, width, tied, dropout, position, embedding = {}, prediction } = config;
    const own = embedding.width ?? width;
    const { adaptive } = embedding;
    const rows = embedding.given ? new GivenRows(width) : undefined;
    const made = adaptive ? new AdaptiveEmbedding(vocabulary, width, { ...adaptive, width: own }) : undefined;
    this.embedding = this.child('embedding', rows ?? made ?? new Embedding(vocabulary, own));
    if (made && prediction?.adaptive) {
      const softmax = new AdaptiveSoftmax(made, { tied, projections: prediction.adaptive });
      this.#adaptive = this.child('adaptive', softmax);
    }
    this.#entry = config.embedding && this.child('entry', new Entry(config));
    if (config.embedding && config.kind === 'encoder-decoder') {
      this.#decoderEntry = this.child('decoderEntry', new Entry(config));
    }
    this.#dropout = this.child('dropout', new Dropout(dropout));
    this.#transform =
      prediction?.transform && this.child('transform', new Transform(rowWidth(config), own, transformOf(config)));
    const given = this.#transform ? own : rowWidth(config);
    this.#head = tied || made || rows ? undefined : this.child('head', new Linear(given, outputs, { bias: false }));
    this.#bias = prediction?.bias ? this.parameter('bias', learned([outputs], constantOf(0))) : undefined;
    // beside rows of sines, as in section 3.4 of the paper (Vaswani et al. 2017)
    this.#scale = embedding.scale ?? (position.method === 'sinusoidal' ? Math.sqrt(own) : 1);
  }

  /**
   * `[B, L, width]` of tokens `[B, L]`, with `rows [L, width]` of positions added, and of `types [B, L]`, where there are some; default
   * all of type 0. Of an encoder–decoder, `half` says whose tokens they are.
   */
  embed(tokens: Tensor, rows: Tensor | undefined, types?: Tensor, half: 'encoder' | 'decoder' = 'encoder'): Tensor {
    checkValue('Ends.embed', 'half', half, halves);
    const entry = half === 'decoder' ? this.#decoderEntry : this.#entry;
    commonDevice('model', [tokens, ...(rows === undefined ? [] : [rows]), ...(types === undefined ? [] : [types])]);
    const given = this.embedding instanceof GivenRows;
    if (!given && tokens.rank !== 2) {
      throw new ShapeError(`model: tokens must be [B,L]; got ${show(tokens.shape)}.`);
    }
    return scope(() => {
      const plain = this.embedding.forward(tokens);
      const scaled = this.#scale === 1 ? plain : mul(plain, this.#scale);
      const typed = this.#typed(scaled, types, entry);
      const placed = rows ? add(typed, rows) : typed;
      const dropped = this.#dropout.forward(entry?.normalised(placed) ?? placed);
      return observed(this.path, entry?.projected(dropped) ?? dropped);
    });
  }

  #typed(rows: Tensor, types: Tensor | undefined, entry: Entry | undefined): Tensor {
    if (this.config.embedding?.types !== undefined) return entry!.typed(rows, types);
    const read = layersOf(this.config).some(({ position }) => 'segments' in position);
    if (types === undefined || read) return rows;
    throw new OptionError('model: has no token types; leave types out, or set embedding.types.');
  }

  /** Logits of rows `[..., width]`, of the tokens that are predicted. */
  logits(rows: Tensor): Tensor {
    const { prediction: { scale, softcap } = {}, outputs } = this.config;
    return scope(() => {
      const made = this.#transform?.forward(rows) ?? rows;
      const scaled = scale === undefined ? made : mul(made, scale);
      if (!(this.embedding instanceof Embedding)) return this.#byClusters(scaled);
      const plain = this.#head
        ? this.#untied(this.#head, scaled)
        : this.embedding.logits(scaled, outputs, this.#bias && { bias: this.#bias.value });
      return softcap === undefined ? plain : mul(tanh(mul(plain, 1 / softcap)), softcap);
    });
  }

  #byClusters(rows: Tensor): Tensor {
    if (this.#adaptive) return this.#adaptive.forward(rows);
    if (this.embedding instanceof GivenRows) {
      throw new CapabilityError('model: predicts no tokens: rows come embedded (embedding.given).');
    }
    throw new CapabilityError(
      'model: predicts no tokens: its embedding is adaptive; set prediction.adaptive for a softmax by the same clusters.',
    );
  }

  #untied(head: Linear, rows: Tensor): Tensor {
    const bias = this.#bias;
    if (bias === undefined) return head.forward(rows);
    return rowsOf(rows, (x) => matmul(x, head.weight.value, { bias: bias.value }));
  }

  /** The loss at `hidden [B, L, width]` for `targets [B, L]`, or for those of `places`, `[B, N]`; and predictions where asked for. */
  loss(
    hidden: Tensor,
    asked: Pick<TokenBatch, 'targets' | 'places'>,
    options: Pick<LossOptions, 'reduction' | 'predictions'> = {},
  ): Pick<Loss, 'loss' | 'predictions'> {
    checkValues('model', asked, { targets: someTensor, places: someTensor }, ['targets']);
    checkValues('model', options, { reduction: reductions, predictions: flag });
    const { targets, places } = asked;
    const { reduction = 'mean', predictions = false } = options;
    commonDevice('model', [hidden, targets, ...(places ? [places] : [])]);
    const [B, L, width] = hidden.shape as [number, number, number];
    const N = places === undefined ? L : (places.shape[1] ?? 0);
    if (targets.rank !== 2 || targets.shape[1] !== N) {
      const what = places === undefined ? `the layers give ${L} rows` : `places are ${show(places.shape)}`;
      throw new ShapeError(`model: ${what}, so targets must be [B,${N}]; got ${show(targets.shape)}.`);
    }
    return scope(() => {
      const picked = places === undefined ? hidden : gatherRows(hidden, places);
      const rows = reshape(picked, [B * N, width]);
      const head = (some: Tensor): Tensor => this.logits(some);
      const how = { head, modules: [this], chunk: this.config.lossChunk, reduction };
      const loss = tokenLoss(rows, reshape(targets, [B * N]), how);
      return {
        loss: reduction === 'none' ? reshape(loss, [B, N]) : loss,
        ...(predictions && { predictions: reshape(likeliest(rows, how), [B, N]) }),
      };
    });
  }
}

function transformOf({ prediction = {}, norm: { kind: usual, ...own } }: ModelConfig): TransformOptions {
  const { transform, norm: kind = usual, transformBias: bias } = prediction;
  return { activation: transform!, bias, norm: kind === 'none' ? undefined : { ...own, kind } };
}
