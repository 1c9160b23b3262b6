import type { Mechanism } from '../attention/index.js';
import { sameShape } from '../core/shape.js';
import type { Device } from '../devices/device.js';
import { everyLayer } from '../models/config-layers.js';
import { readConfig, type ModelConfig } from '../models/config.js';
import { createModel } from '../models/create.js';
import type { LanguageModel } from '../models/model.js';

export interface SwapOptions {
  readonly device: Device;
  readonly mechanism: Mechanism;
  /** Of the mechanism. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Of what is drawn; default 0. */
  readonly seed?: number;
}

export interface Swapped {
  /** With copies of the weights; the caller disposes of it. */
  readonly model: LanguageModel;
  readonly config: ModelConfig;
  /** Parameters that the mechanism brought, and that were drawn. */
  readonly drawn: readonly string[];
  /** Parameters of the trained model that the other has no use for. */
  readonly unused: readonly string[];
}

/**
 * A trained model whose layers attend by another mechanism, without training it again: the same projections, norms and
 * feed-forward layers around it. What the mechanism learns beside them is drawn.
 *
 * @throws OptionError for a mechanism without a causal form where the model is causal, or one that the position or the sizes of the model rule out.
 */
export function swapMechanism(
  trained: LanguageModel,
  config: ModelConfig,
  { mechanism, settings = {}, ...options }: SwapOptions,
): Swapped {
  const own = { name: mechanism.name, options: settings };
  return withConfig(trained, readConfig(everyLayer(config, () => ({ mechanism: own }))), options);
}

/** The weights of a trained model in a model of another configuration, where they fit; what is new is drawn. */
export function withConfig(
  trained: LanguageModel,
  other: ModelConfig,
  { device, seed = 0 }: Pick<SwapOptions, 'device' | 'seed'>,
): Swapped {
  const model = createModel(other);
  try {
    model.initialise({ device, seed });
    const before = trained.stateDict();
    const own = model.stateDict();
    const fits = (name: string): boolean => sameShape(before.get(name)?.shape ?? [-1], own.get(name)!.shape);
    const drawn = [...own.keys()].filter((name) => !fits(name));
    const unused = [...before.keys()].filter((name) => !own.has(name) || !fits(name));
    model.load(new Map([...own].map(([name, value]) => [name, fits(name) ? before.get(name)! : value])));
    return { model, config: other, drawn, unused };
  } catch (error) {
    model.dispose();
    throw error;
  }
}
