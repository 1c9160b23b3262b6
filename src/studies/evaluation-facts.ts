import type { FloatDtype } from '../core/dtype.js';
import type { TokenSource } from '../data/tokens.js';
import type { Device } from '../devices/device.js';
import { mechanismNames } from '../models/config-layers.js';
import type { LanguageModel, ModelConfig } from '../models/index.js';
import { machine, type Machine } from './machine.js';
import type { Swapped } from './swap.js';

/** What an evaluation says of its model, text and machine beside the scores. */
export interface EvaluationFacts {
  readonly config: ModelConfig;
  readonly parameters: number;
  /** What the model was trained with, and what the swap drew or left, where another mechanism was swapped in. */
  readonly swapped: {
    readonly from: string;
    readonly drawn: readonly string[];
    readonly unused: readonly string[];
  } | null;
  readonly unit: TokenSource['unit'];
  readonly bytesPerToken: number;
  readonly precision: FloatDtype;
  readonly machine: Machine;
}

export function factsOf(
  device: Device,
  trained: { readonly model: LanguageModel; readonly config: ModelConfig },
  swapped: Swapped | undefined,
  { unit, bytesPerToken }: TokenSource,
  precision: FloatDtype,
): EvaluationFacts {
  const { model, config } = swapped ?? trained;
  return {
    config,
    parameters: [...model.stateDict().values()].reduce((sum, { size }) => sum + size, 0),
    swapped: swapped ? { from: mechanismNames(trained.config), drawn: swapped.drawn, unused: swapped.unused } : null,
    unit,
    bytesPerToken,
    precision,
    machine: machine(device),
  };
}
