import type { Mechanism } from '../attention/index.js';
import { OptionError } from '../core/errors.js';
import { checkValue, wholeFrom } from '../core/requirements.js';
import { show } from '../core/shape.js';
import { decoderSection } from '../models/config-decoder.js';
import { everyLayer, layersOf, type LayerConfig } from '../models/config-layers.js';
import { readConfig, type ModelConfig } from '../models/config.js';
import type { LanguageModel } from '../models/model.js';
import { Attention, Positions } from '../nn/index.js';
import { concat, slice } from '../ops/index.js';
import { noGradient, scope, type Tensor } from '../tensor/index.js';
import { withConfig, type Swapped, type SwapOptions } from './swap.js';

export interface ConvertOptions extends SwapOptions {
  /** Tokens that the new model is for, at least as many as the trained one is. */
  readonly length: number;
}

export interface Converted extends Swapped {
  /** Parameters that are copies of others: position tables that repeat, projections of global tokens. */
  readonly copied: readonly string[];
}

/**
 * A trained model for longer texts: its layers of exact attention attend by another mechanism, and what that has no trained values for is
 * copied from what is there. A table of P learned positions repeats, `new[t] = old[t mod P]` behind rows that stand for no token, and projections of the mechanism's own begin
 * as those of queries, keys and values. (Beltagy, Peters, Cohan 2020, arXiv 2004.05150, section 5.) Where the mechanism sees all pairs of
 * a text that is no longer than the trained length, the new model is the old one.
 *
 * @throws OptionError for a shorter length, or a model without exact attention; else as `swapMechanism`.
 */
export function convert(
  trained: LanguageModel,
  config: ModelConfig,
  { length, mechanism, settings, ...options }: ConvertOptions,
): Converted {
  checkValue('convert', 'length', length, wholeFrom(1));
  if (length < config.length) {
    throw new OptionError(`convert: length must be at least the trained ${config.length}; got ${length}.`);
  }
  const swapped = withConfig(trained, lengthened(config, length, mechanism, settings), options);
  try {
    const copied = scope(() => noGradient(() => copyInto(swapped.model, trained)));
    const drawn = swapped.drawn.filter((name) => !copied.includes(name));
    const tables = new Set(copied);
    return { ...swapped, drawn, copied, unused: swapped.unused.filter((name) => !tables.has(name)) };
  } catch (error) {
    swapped.model.dispose();
    throw error;
  }
}

function lengthened(
  config: ModelConfig,
  length: number,
  mechanism: Mechanism,
  settings: ConvertOptions['settings'] = {},
): ModelConfig {
  const exact = layersOf(config).filter(isExact);
  if (exact.length === 0) {
    throw new OptionError(
      'convert: no layer attends to all pairs, so there is none to change; name a model of exact attention, such as flash.',
    );
  }
  const own = { name: mechanism.name, options: settings };
  // what reads an encoder stays as it is: its source is what gets longer
  const { decoder, ...first } = config;
  const changed = everyLayer(first, (layer) => (isExact(layer) ? { mechanism: own } : {}));
  const rows = (layer: LayerConfig): Partial<LayerConfig> => ({ position: withoutRows(layer.position) });
  return readConfig({
    ...everyLayer(changed, rows),
    length,
    ...(config.kind === 'encoder-decoder' && { decoder: decoder ?? decoderSection(config) }),
  });
}

/** A table of learned positions is as long as the model again. */
function withoutRows(position: LayerConfig['position']): LayerConfig['position'] {
  if (position.method !== 'learned') return position;
  const { rows: _, ...rest } = position;
  return rest;
}

const isExact = ({ mixer, mechanism }: Pick<ModelConfig, 'mixer' | 'mechanism'>): boolean =>
  mixer === undefined && ['flash', 'standard', 'chunked'].includes(mechanism.name);

/** Fills in what can be copied, and says what that was. */
function copyInto(model: LanguageModel, trained: LanguageModel): readonly string[] {
  const before = trained.stateDict();
  const next = new Map(model.stateDict());
  const copied: string[] = [];
  const copy = (name: string, value: Tensor): void => {
    const { shape } = next.get(name)!;
    if (show(shape) !== show(value.shape)) return;
    next.set(name, value);
    copied.push(name);
  };
  for (const one of model.modules()) {
    if (one instanceof Positions && one.method === 'learned') {
      const name = `${one.path}.table`;
      const table = before.get(name);
      const rows = next.get(name)!.shape[0]!;
      const { first = 0 } = one.options as { readonly first?: number };
      if (table !== undefined && table.shape[0]! < rows) copy(name, repeated(table, first, rows));
    } else if (one instanceof Attention) {
      for (const [name, of] of Object.entries(one.mechanism.definition.inputs ?? {})) {
        for (const part of ['weight', 'bias']) {
          const own = `${one.path}.${name}.${part}`;
          if (!next.has(own) || before.has(own)) continue;
          const value = projectionOf(one, of, part, before);
          if (value) copy(own, value);
        }
      }
    }
  }
  model.load(next);
  return copied;
}

/** The table, and again and again its rows from the first token's on, `[rows, features]`. */
function repeated(table: Tensor, first: number, rows: number): Tensor {
  const period = slice(table, { start: first });
  const times = Math.ceil((rows - table.shape[0]!) / period.shape[0]!);
  return slice(concat([table, ...Array.from({ length: times }, () => period)], { axis: 0 }), { end: rows });
}

/** The weight or bias by which queries, keys or values are made. */
function projectionOf(
  { path, heads, kvHeads, headDim, separate }: Attention,
  of: 'q' | 'k' | 'v',
  part: string,
  state: ReadonlyMap<string, Tensor>,
): Tensor | undefined {
  const [queries, keys] = [heads * headDim, kvHeads * headDim];
  const from = separate
    ? { q: ['query', 0], k: ['keyValue', 0], v: ['keyValue', keys] }
    : { q: ['qkv', 0], k: ['qkv', queries], v: ['qkv', queries + keys] };
  const [name, start] = from[of] as [string, number];
  const whole = state.get(`${path}.${name}.${part}`);
  return whole && slice(whole, { axis: -1, start, end: start + (of === 'q' ? queries : keys) });
}
