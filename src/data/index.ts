export { Batches, type BatchOptions } from './batches.js';
export { ByteDecoder } from './byte-decoder.js';
export { Corpus, type CorpusOptions, openCorpus, VOCABULARY } from './corpus.js';
export { maskedBatches, type MaskedBatch, type MaskedBatches, type MaskedBatchOptions } from './masked-batches.js';
export { maskTokens, MASKING, type Masked, type Masking, type MaskOptions } from './masking.js';
export {
  CORRUPTION,
  spanBatches,
  type Corruption,
  type SpanBatches,
  type SpanBatchOptions,
  type SpanPlan,
  spanPlan,
} from './span-corruption.js';
export { permutation } from './permutation.js';
export { type Split, splitCorpus } from './split.js';
export type { Document, TokenSource } from './tokens.js';
export { Ngram, type NgramOptions, type NgramScore } from './ngram/ngram.js';
export {
  evaluateListOps,
  NOTHING_ASKED,
  type Sample,
  type Task,
  taskBatch,
  taskOf,
  type TaskOptions,
  tasks,
} from './tasks/index.js';
export { findTexts } from './find-texts.js';
export { loadTokeniser, vocabularyOf } from './tokenise/load.js';
export { TokenFile } from './tokenise/token-file.js';
export { tokeniseCorpus, type TokeniseOptions } from './tokenise/tokenise.js';
export { byteTokeniser, type MarkedText, type TextStream, type Tokeniser } from './tokenise/tokeniser.js';
export { trainBpe, type TrainedBpe } from './tokenise/train-bpe.js';
