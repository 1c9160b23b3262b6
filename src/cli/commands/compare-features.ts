import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { CapabilityError, OptionError } from '../../core/errors.js';
import type { Device } from '../../devices/index.js';
import { seesBothSides } from '../../models/create.js';
import { BUNDLED_ENCODER, BUNDLED_MODEL } from '../../studies/bundled.js';
import { type Features, featuresNote, textFeatures } from '../../studies/features.js';
import { featureSource, modelFeatures, type TrainedModel } from '../../studies/model-features.js';
import { openModel, readModel } from '../../pretrained/open.js';
import { FailureError, type Io, UsageError } from '../io.js';
import { type CompareValues, wantsModel, wantsText } from './compare-options.js';

/** Which direction is compared, and where queries, keys and values come from; the sizes are known before anything is computed. */
export interface DirectionPlan {
  readonly causal: boolean;
  readonly heads: number;
  readonly headDim: number;
  /** Where the model is that was trained in this direction; undefined: features are made from the text alone. */
  readonly model: string | undefined;
  /** Those of the first bytes of the text; of the loaded model where there is one. */
  readonly make: (device: Device, bytes: Uint8Array, loaded: TrainedModel | undefined) => Promise<Features>;
}

/**
 * The directions that are asked for: both, unless an option or a model of one's own says which.
 *
 * @throws UsageError for a layer or heads that a model does not have, or one that was trained in another direction; FormatError or
 * FailureError for a model that is not there.
 */
export function planDirections(
  who: string,
  values: CompareValues,
  length: number,
  io: Pick<Io, 'cwd'>,
): readonly DirectionPlan[] {
  const asked = [...(values['all-pairs'] ? [] : [true]), ...(values.causal ? [] : [false])];
  if (wantsText(values)) return asked.map((causal) => ofText(values, causal, featuresNote));
  if (values.model !== undefined) return [ofOwnModel(who, values, length, io)];
  return asked.map((causal) => {
    const path = causal ? BUNDLED_MODEL : BUNDLED_ENCODER;
    if (wantsModel(values) || existsSync(path))
      return ofModel(who, modelPath(who, undefined, io, path), values, causal, length);
    return ofText(values, causal, `${featuresNote} (The model that comes with the package is not there.)`);
  });
}

function ofOwnModel(who: string, values: CompareValues, length: number, io: Pick<Io, 'cwd'>): DirectionPlan {
  const path = modelPath(who, values.model, io);
  const { config } = readModel(path);
  const causal = !seesBothSides(config);
  const other = causal ? values['all-pairs'] : values.causal;
  if (other) {
    throw new UsageError(
      causal
        ? `${who}: --all-pairs: the model is causal, so what it attends to says nothing of all pairs; leave it out, or name an encoder.`
        : `${who}: --causal: the model sees all pairs, so what it attends to says nothing of causal attention; leave it out, or name a decoder.`,
    );
  }
  return ofModel(who, path, values, causal, length);
}

function ofModel(who: string, path: string, values: CompareValues, causal: boolean, length: number): DirectionPlan {
  const options = { layer: values.layer, heads: values['layer-heads'] };
  try {
    const { heads, headDim } = featureSource(readModel(path).config, options, length);
    return {
      causal,
      heads: heads.length,
      headDim,
      model: path,
      make: (device, bytes, loaded) => modelFeatures(device, loaded!, bytes, options),
    };
  } catch (error) {
    if (!(error instanceof OptionError || error instanceof CapabilityError)) throw error;
    throw new UsageError(`${who}: ${error.message.replace(/^model features: /, '')}`);
  }
}

function ofText(
  { heads = 4, 'head-dim': headDim = 64, seed }: CompareValues,
  causal: boolean,
  note: string,
): DirectionPlan {
  const make: DirectionPlan['make'] = async (_, bytes) => ({
    problem: textFeatures(bytes, { heads, headDim, seed }),
    note,
  });
  return { causal, heads, headDim, model: undefined, make };
}

/** A model with what is done with it, disposed of whatever happens; without a path there is none. */
export async function withModel<T>(
  path: string | undefined,
  device: Device,
  body: (loaded: TrainedModel | undefined) => Promise<T>,
): Promise<T> {
  if (path === undefined) return body(undefined);
  const loaded = await openModel(path, { device });
  try {
    return await body(loaded);
  } finally {
    loaded.model.dispose();
  }
}

/** The path that was named, or that of a bundled model. @throws FailureError where there is none. */
export function modelPath(
  who: string,
  given: string | undefined,
  { cwd }: Pick<Io, 'cwd'>,
  bundled = BUNDLED_MODEL,
): string {
  if (given !== undefined) return resolve(cwd, given);
  if (existsSync(bundled)) return bundled;
  throw new FailureError(
    `${who}: the model that comes with the package is not there; name one with --model, as subquad train makes them.`,
  );
}
