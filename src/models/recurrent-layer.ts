import { CapabilityError } from '../core/errors.js';
import { Block, type BlockOptions, type Context, type NamedTensors, type Outcome } from '../nn/index.js';
import { branchContext } from '../nn/layer.js';
import { besideOf } from '../nn/outcome.js';
import { cast, concat, detach } from '../ops/index.js';
import { scope, zeros, type Tensor } from '../tensor/index.js';
import type { ModelConfig } from './model-config.js';
import { countRows, rowsBetween, rowsOf, type LayerMemory } from './memory.js';

/** What a layer has of the text after a segment, and a loss of its own. */
export interface Carried {
  readonly memory: LayerMemory;
  readonly losses?: NamedTensors | undefined;
}

/**
 * A layer of a Transformer-XL: keys and values are also of what its stream was before, `[stopgrad(memory) ; x]`, and its state
 * afterwards is the last `memory` rows of both. A norm that comes before the attention is taken of the memory too.
 */
export class RecurrentLayer extends Block {
  constructor(
    features: number,
    options: BlockOptions,
    protected readonly memory: ModelConfig['memory'],
  ) {
    super(features, options);
  }

  override forward(x: Tensor, context: Context = {}): Outcome {
    const { precision = 'f32', state = {}, lengths, mask } = context;
    if (mask !== undefined || lengths?.some((length) => length !== x.shape[1])) {
      throw new CapabilityError(
        `Block ${this.path}: takes no padding and no mask, since its memory would hold what they hide; leave out lengths and mask.`,
      );
    }
    return scope(() => {
      const [recent, compressed] = [state['recent'], state['compressed']].map((rows) => rows && cast(rows, precision));
      const before = { recent, compressed };
      const { memory, losses } = this.carry(before, cast(detach(x), precision), context);
      const source = (rows: Tensor): Tensor => {
        const past = rowsOf(before).map((one) => this.given(one, precision));
        return past.length === 0 ? rows : concat([...past, rows], { axis: 1 });
      };
      const attend: Context['attend'] = (mixer, rows) => {
        const types = context.types && withMemory(context.types, countRows(rowsOf(before)));
        return mixer.forward(rows, { ...branchContext(context), lengths: undefined, source: source(rows), types });
      };
      const kept = Object.entries(memory).filter((entry): entry is [string, Tensor] => entry[1] !== undefined);
      const { stream, ...beside } = super.forward(x, { ...context, attend });
      return { ...besideOf([beside, { ...(losses && { losses }), state: Object.fromEntries(kept) }]), stream };
    });
  }

  /** What it has after rows x of the stream came to what it had before; both are without gradient, in the precision of the call. */
  protected carry({ recent }: LayerMemory, x: Tensor, _context: Context): Carried {
    const { length, reuse = Infinity } = this.memory;
    const parts = [recent, x];
    const end = countRows([recent]) + Math.min(reuse, x.shape[1]!);
    return { memory: { recent: rowsBetween(parts, end - length, end) } };
  }
}

/** The types of rows of the memory, which are 0, before those of a segment. */
const withMemory = (types: Tensor, rows: number): Tensor =>
  rows === 0
    ? types
    : concat([zeros([types.shape[0]!, rows], { device: types.device, dtype: 'i32' }), types], { axis: 1 });
