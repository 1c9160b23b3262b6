import { CapabilityError } from '../core/errors.js';
import { checkValue, made } from '../core/requirements.js';
import { Module } from '../nn/index.js';
import { adapt } from './adapt.js';
import { Classifier } from './classifier.js';
import { CompressiveTransformer } from './compressive.js';
import { EncoderDecoder } from './encoder-decoder.js';
import { checkConfig, type ModelConfig } from './config.js';
import { seesBothSides } from './model-config.js';
import type { LanguageModel } from './model.js';
import type { SessionOptions, TextSession } from './text-session.js';
import { TransformerXl } from './transformer-xl.js';
import { Transformer } from './transformer.js';
import { XlNet } from './xlnet.js';

/**
 * The model that a configuration describes, without values yet: `initialise` or `load` it. An encoder is trained on what its batches hide or
 * ask for; the batches of an encoder–decoder have a `source` (`PairBatch`), those of a model with a `head` a class for each text.
 *
 * @throws OptionError for what is not a whole configuration.
 */
export function createModel(config: ModelConfig): LanguageModel {
  checkConfig('createModel', config);
  const model = plainModel(config);
  if (config.lora) adapt(model, config.lora);
  return model;
}

function plainModel(config: ModelConfig): LanguageModel {
  if (config.head) return new Classifier(config);
  switch (config.kind) {
    case 'decoder':
    case 'encoder':
      return new Transformer(config);
    case 'transformer-xl':
      return new TransformerXl(config);
    case 'compressive-transformer':
      return new CompressiveTransformer(config);
    case 'xlnet':
      return new XlNet(config);
    case 'encoder-decoder':
      return new EncoderDecoder(config);
    default:
      return config.kind satisfies never;
  }
}

export { seesBothSides } from './model-config.js';

/** @throws CapabilityError for a kind that sees the tokens it would predict, or a source: no text is its own target for it. */
export function checkNextToken(config: ModelConfig): void {
  checkConfig('createModel', config);
  if (!seesBothSides(config)) return;
  throw new CapabilityError(`model: kind ${config.kind} is no model of the next token; take kind decoder.`);
}

/** `createModel` for texts that are their own targets, each token that of the one before. @throws as `checkNextToken`. */
export function createNextTokenModel(config: ModelConfig): LanguageModel {
  checkNextToken(config);
  return createModel(config);
}

/**
 * Texts for a model to go on with, as the model offers them. One with memory has no other cache.
 *
 * @throws CapabilityError for a model that does not decode step by step; OptionError for what is not a model, or a cache that it
 * does not have.
 */
export function openSession(model: LanguageModel, options: SessionOptions): TextSession {
  checkValue('openSession', 'model', model, made('a model, such as createModel makes', Module));
  const session = model.session?.(options);
  if (session !== undefined) return session;
  throw new CapabilityError('openSession: this model does not decode step by step: it has no session().');
}
