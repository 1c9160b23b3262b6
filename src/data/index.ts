export { Batches, type BatchOptions } from './batches.js';
export { ByteDecoder } from './byte-decoder.js';
export { Corpus, type CorpusOptions, type Document, openCorpus, VOCABULARY } from './corpus.js';
export { permutation } from './permutation.js';
export { type Split, splitCorpus } from './split.js';
export { type TokenSource } from './tokens.js';
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
