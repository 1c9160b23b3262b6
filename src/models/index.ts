export {
  kinds,
  positionNames,
  preset,
  presets,
  readConfig,
  residualKinds,
  type ModelConfig,
  type ModelKind,
  type PresetName,
  type ResidualKind,
} from './config.js';
export { createModel } from './create.js';
export { EncoderDecoder, type SourceOptions } from './encoder-decoder.js';
export { IGNORED } from './loss.js';
export type { LanguageModel, Loss, LossOptions, ModelState } from './model.js';
export { Stack, type StackOptions } from './stack.js';
export { Ends, Transformer } from './transformer.js';
