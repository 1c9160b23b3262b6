import { CapabilityError, OptionError } from '../core/errors.js';
import { CompressiveTransformer } from './compressive.js';
import { checkConfig, type ModelConfig } from './config.js';
import type { LanguageModel } from './model.js';
import { SegmentSession } from './segment-session.js';
import { Session, type SessionOptions, type TextSession } from './session.js';
import { TransformerXl } from './transformer-xl.js';
import { Transformer } from './transformer.js';

/**
 * The model of the next token that a configuration describes, without values yet: `initialise` or `load` it.
 *
 * @throws CapabilityError for a kind that does not predict the next token; OptionError for what is no whole configuration.
 */
export function createModel(config: ModelConfig): LanguageModel {
  checkConfig('createModel', config);
  switch (config.kind) {
    case 'decoder':
      return new Transformer(config);
    case 'transformer-xl':
      return new TransformerXl(config);
    case 'compressive-transformer':
      return new CompressiveTransformer(config);
    case 'encoder':
    case 'encoder-decoder':
      throw new CapabilityError(
        `createModel: kind ${config.kind} is no model of the next token; use Transformer or EncoderDecoder, or take kind decoder.`,
      );
    default:
      return config.kind satisfies never;
  }
}

/**
 * A text for a model to go on with. A model with memory has no other cache.
 *
 * @throws CapabilityError for a model that does not decode step by step; OptionError for a cache that it does not have.
 */
export function openSession(model: LanguageModel, options: SessionOptions): TextSession {
  if (model instanceof Transformer) return new Session(model, options);
  if (!(model instanceof TransformerXl))
    throw new CapabilityError('openSession: this model does not decode step by step.');
  const { maxLength, ...rest } = options;
  // window and sinks belong to a cache
  const given = ['cache', ...Object.keys(rest)].find((name) => rest[name as keyof typeof rest] !== undefined);
  if (given !== undefined) {
    throw new OptionError(`openSession: the memory of kind ${model.config.kind} is its cache; leave ${given} out.`);
  }
  return new SegmentSession(model, { maxLength });
}
