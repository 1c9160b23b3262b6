import type { Corpus } from '../data/corpus.js';
import type { Device } from '../devices/device.js';
import { everyLayer } from '../models/config-layers.js';
import { readConfig, type ModelConfig } from '../models/config.js';
import { createNextTokenModel } from '../models/create.js';
import type { LanguageModel } from '../models/model.js';
import { extendPositions } from '../positions/index.js';
import { keep, type Tensor } from '../tensor/index.js';
import type { ExtrapolationMethod } from './extrapolate-methods.js';
import { perplexity } from './perplexity.js';

/** One model at one length. */
export interface ExtrapolationRow {
  readonly method: string;
  readonly seed: number;
  readonly times: number;
  readonly length: number;
  readonly mode: 'separate' | 'sliding';
  /** Null where the method is not defined at that length. */
  readonly bitsPerByte: number | null;
  readonly perplexityPerByte: number | null;
  readonly tokens: number;
}

export interface Evaluated {
  readonly device: Device;
  readonly model: LanguageModel;
  readonly method: ExtrapolationMethod;
  readonly factor: number;
  readonly mode: 'separate' | 'sliding';
  readonly config: ModelConfig;
  readonly seed: number;
  readonly source: Corpus;
}

/** The trained weights at a multiple of their length. */
export async function evaluated(call: Evaluated): Promise<ExtrapolationRow> {
  const { device, method, factor, mode, config, seed, source } = call;
  const length = factor * config.length;
  const row = { method: method.name, seed, times: factor, length, mode };
  const position = method.evaluated(factor, config.length);
  if (position === null) return { ...row, bitsPerByte: null, perplexityPerByte: null, tokens: 0 };
  const longer = withPosition(
    call,
    readConfig({ ...everyLayer(config, () => ({ position })), length: method.tiled ? length : config.length }),
  );
  try {
    const found = await perplexity({ device, model: longer, source, length, mode });
    return { ...row, bitsPerByte: found.bitsPerByte, perplexityPerByte: found.perplexityPerByte, tokens: found.tokens };
  } finally {
    longer.dispose();
  }
}

/** The trained weights in a model of another position: only a learned table may have to grow. */
function withPosition({ model }: Evaluated, config: ModelConfig): LanguageModel {
  const longer = createNextTokenModel(config);
  const made: Tensor[] = [];
  try {
    const specs = longer.namedParameters();
    const state = new Map(
      [...model.stateDict()].map(([name, value]) => {
        const rows = specs.get(name)?.spec.shape[0] ?? 0;
        if (!name.endsWith('positions.table') || rows <= value.shape[0]!) return [name, value];
        made.push(keep(extendPositions(value, rows)));
        return [name, made.at(-1)!];
      }),
    );
    return longer.load(state);
  } catch (error) {
    longer.dispose();
    throw error;
  } finally {
    for (const one of made) one.dispose();
  }
}
