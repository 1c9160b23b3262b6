import type { Mechanism } from '../attention/index.js';
import type { Device } from '../devices/device.js';
import { carryOver } from '../models/carry-over.js';
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
    const { drawn, partly, unused } = carryOver(model, trained.stateDict());
    return { model, config: other, drawn: [...partly, ...drawn], unused };
  } catch (error) {
    model.dispose();
    throw error;
  }
}
