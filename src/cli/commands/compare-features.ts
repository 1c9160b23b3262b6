import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { CapabilityError, OptionError } from '../../core/errors.js';
import type { Device } from '../../devices/index.js';
import { BUNDLED_MODEL } from '../../studies/bundled.js';
import { type Features, featuresNote, textFeatures } from '../../studies/features.js';
import { featureSource, modelFeatures } from '../../studies/model-features.js';
import { loadModel, readModelJson } from '../../train/model-file.js';
import { FailureError, type Io, UsageError } from '../io.js';
import { type CompareValues, wantsModel, wantsText } from './compare-options.js';

/** Where queries, keys and values come from; the sizes are known before anything is computed. */
export interface FeaturePlan {
  readonly heads: number;
  readonly headDim: number;
  /** Those of the first bytes of the text. */
  readonly make: (device: Device, bytes: Uint8Array) => Promise<Features>;
}

/** @throws UsageError for a layer or heads that the model does not have, FormatError or FailureError for a model that is not there. */
export function planFeatures(who: string, values: CompareValues, length: number, io: Pick<Io, 'cwd'>): FeaturePlan {
  if (wantsText(values)) return ofText(values, featuresNote);
  if (!wantsModel(values) && !existsSync(BUNDLED_MODEL)) {
    return ofText(values, `${featuresNote} (The model that comes with the package is not there.)`);
  }
  const path = modelPath(who, values.model, io);
  const options = { layer: values.layer, heads: values['layer-heads'] };
  try {
    const { heads, headDim } = featureSource(readModelJson(path).config, options, length);
    return {
      heads: heads.length,
      headDim,
      async make(device, bytes) {
        const loaded = await loadModel(path, { device });
        try {
          return await modelFeatures(device, loaded, bytes, options);
        } finally {
          loaded.model.dispose();
        }
      },
    };
  } catch (error) {
    if (!(error instanceof OptionError || error instanceof CapabilityError)) throw error;
    throw new UsageError(`${who}: ${error.message.replace(/^model features: /, '')}`);
  }
}

function ofText({ heads = 4, 'head-dim': headDim = 64, seed }: CompareValues, note: string): FeaturePlan {
  const make: FeaturePlan['make'] = async (_, bytes) => ({
    problem: textFeatures(bytes, { heads, headDim, seed }),
    note,
  });
  return { heads, headDim, make };
}

/** The path that was named, or that of the bundled model. @throws FailureError where there is none. */
export function modelPath(who: string, given: string | undefined, { cwd }: Pick<Io, 'cwd'>): string {
  if (given !== undefined) return resolve(cwd, given);
  if (existsSync(BUNDLED_MODEL)) return BUNDLED_MODEL;
  throw new FailureError(
    `${who}: the model that comes with the package is not there; name one with --model, as subquad train makes them.`,
  );
}
