import { CapabilityError } from '../core/errors.js';
import type { ModelConfig } from './config.js';
import type { LanguageModel } from './model.js';
import { Transformer } from './transformer.js';

/**
 * The model of the next token that a configuration describes, without values yet: `initialise` or `load` it.
 *
 * @throws CapabilityError for a kind that does not predict the next token.
 */
export function createModel(config: ModelConfig): LanguageModel {
  switch (config.kind) {
    case 'decoder':
      return new Transformer(config);
    case 'transformer-xl':
    case 'compressive-transformer':
      throw new CapabilityError(`createModel: ${config.kind} is not there yet.`);
    case 'encoder':
    case 'encoder-decoder':
      throw new CapabilityError(
        `createModel: kind ${config.kind} is no model of the next token; use Transformer or EncoderDecoder, or take kind decoder.`,
      );
    default:
      return config.kind satisfies never;
  }
}
