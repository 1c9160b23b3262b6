import { CapabilityError } from '../core/errors.js';
import { checkValue, made } from '../core/requirements.js';
import { Module } from '../nn/index.js';
import { CompressiveTransformer } from './compressive.js';
import { checkConfig, type ModelConfig } from './config.js';
import type { LanguageModel } from './model.js';
import type { SessionOptions, TextSession } from './text-session.js';
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
 * Texts for a model to go on with, as the model offers them. One with memory has no other cache.
 *
 * @throws CapabilityError for a model that does not decode step by step; OptionError for what is no model, or a cache that it
 * does not have.
 */
export function openSession(model: LanguageModel, options: SessionOptions): TextSession {
  checkValue('openSession', 'model', model, made('a model, such as createModel makes', Module));
  const session = model.session?.(options);
  if (session !== undefined) return session;
  throw new CapabilityError('openSession: this model does not decode step by step: it has no session().');
}
