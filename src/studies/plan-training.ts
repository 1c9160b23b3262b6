import { OptionError } from '../core/errors.js';
import type { DeviceLike } from '../devices/device.js';
import { everyLayer } from '../models/config-layers.js';
import { readConfig, residualKinds, type ModelConfig, type ResidualKind } from '../models/index.js';
import { rehearseTraining } from '../train/rehearse.js';
import { type Rates, secondsOf } from './calibrate.js';
import type { TrainConfig } from './train-config.js';
import { optimiserOf } from './train-optimiser.js';

export interface TrainingPlanOptions {
  /** Tokens of a window. */
  readonly lengths: readonly number[];
  /** Residual kinds to compare with the configuration's own. */
  readonly residuals?: readonly ResidualKind[];
  readonly like: DeviceLike;
  readonly memoryLimit?: number | undefined;
  /** Undefined: no times are predicted. */
  readonly rates?: Rates | undefined;
  readonly onProgress?: (what: string) => void;
}

/** One training step at one length. */
export interface TrainingPlanRow {
  readonly length: number;
  readonly residual: ResidualKind;
  /** Layers of a checkpointed group. */
  readonly every: number;
  readonly tokens: number;
  /** Parameters and the optimiser's state. */
  readonly restBytes: number;
  readonly peakBytes: number;
  readonly multiplyAdds: number;
  readonly seconds: number | null;
  readonly fits: boolean;
}

export interface TrainingPlan {
  readonly model: ModelConfig;
  readonly parameters: number;
  readonly batch: number;
  readonly precision: TrainConfig['train']['precision'];
  readonly memoryLimit: number | null;
  readonly rows: readonly TrainingPlanRow[];
  /** Why a residual kind is not among the rows. */
  readonly refused: readonly { readonly residual: ResidualKind; readonly why: string }[];
}

/**
 * What a training step of a model takes at some lengths, with each way of keeping activations, without computing one: the trainer
 * runs on a device that only counts.
 *
 * @throws OptionError where nothing can be planned.
 */
export async function planTraining(config: TrainConfig, options: TrainingPlanOptions): Promise<TrainingPlan> {
  const { lengths, residuals = residualKinds, like, memoryLimit, rates, onProgress } = options;
  const { batch, accumulate, precision, optimiser } = config.train;
  const rows: TrainingPlanRow[] = [];
  const refused = new Map<ResidualKind, string>();
  let parameters = 0;
  for (const length of [...new Set(lengths)].sort((a, b) => a - b)) {
    for (const kind of residuals) {
      onProgress?.(`length ${length}, residual ${kind}`);
      try {
        const model = withResidual({ ...config.model, length }, kind);
        const rule = { batchSize: batch, accumulate, precision, optimiser: optimiserOf(optimiser), like };
        const cost = await rehearseTraining(model, rule);
        ({ parameters } = cost);
        rows.push({
          length,
          residual: kind,
          every: model.residual.every,
          tokens: accumulate * batch * length,
          restBytes: cost.restBytes,
          peakBytes: cost.peakBytes,
          multiplyAdds: cost.multiplyAdds,
          seconds: rates === undefined ? null : secondsOf(cost.work, rates),
          fits: cost.peakBytes <= (memoryLimit ?? Infinity),
        });
      } catch (error) {
        if (!(error instanceof OptionError)) throw error;
        refused.set(kind, error.message.replace(/^model configuration: /, ''));
      }
    }
  }
  if (rows.length === 0) throw new OptionError(`plan: nothing can be planned. ${[...refused.values()].join(' ')}`);
  return {
    model: config.model,
    parameters,
    batch,
    precision,
    memoryLimit: memoryLimit ?? null,
    rows,
    refused: [...refused].map(([residual, why]) => ({ residual, why })),
  };
}

/** The configuration with another way of keeping activations; groups of √layers, the least memory, unless it says. */
function withResidual(config: ModelConfig, kind: ResidualKind): ModelConfig {
  const every = kind === 'checkpointed' ? config.residual.every || Math.round(Math.sqrt(config.layers)) : 0;
  return readConfig(everyLayer(config, () => ({ residual: { kind, every } })));
}
