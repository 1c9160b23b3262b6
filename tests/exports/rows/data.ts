import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  Batches,
  byteTokeniser,
  Corpus,
  Ngram,
  openCorpus,
  tasks,
  type TokenFile,
  tokeniseCorpus,
  trainBpe,
  type loadTokeniser,
  type permutation,
  type taskBatch,
} from '../../../src/data/index.js';
import {
  callback,
  flag,
  made,
  number,
  numbers,
  options,
  positive,
  text,
  value,
  whole,
  word,
  optional,
  type Kind,
  type World,
} from '../kinds.js';
import { call, make, method, plain, type Plain, type Row } from '../row.js';

/** A text of 600 bytes in the folder of the world. */
function file({ folder }: World): string {
  const path = join(folder, 'text.txt');
  // it must not change while a corpus is open
  if (!existsSync(path)) writeFileSync(path, 'twelve bytes'.repeat(50));
  return path;
}
const open = (world: World): Corpus => openCorpus([file(world)]);
const tokenFile = (world: World): TokenFile => tokeniseCorpus(open(world), byteTokeniser, join(world.folder, 'tokens'));
const isText = (x: unknown): boolean => typeof x === 'string';
const path = made(file, isText);
const paths = made(
  (world) => [file(world)],
  (x) => Array.isArray(x) && x.every(isText),
);
const corpus = made(open, (x) => x instanceof Corpus);
const step = whole(1);
const into = value(new Int32Array(2), (x) => x instanceof Int32Array || x instanceof Uint8Array);
const batchOptions = {
  batchSize: positive(2),
  length: positive(8),
  seed: whole(1),
  order: word('shuffled', 'sequential', 'streams'),
  documents: word('joined', 'separate'),
};
const required = ['batchSize', 'length'];
const masking = { share: number(0.5), span: number(2), words: flag(false), random: number(0.1), kept: number(0.1) };
const ofBatches = method((world) => new Batches(open(world), { batchSize: 2, length: 8 }));
const ofCorpus = method(open);
const ofNgram = method((world) => new Ngram(open(world), { order: 2 }));
const ofTokens = method(tokenFile);
const tokeniser = value(byteTokeniser);
const writable: Kind = made(({ folder }) => join(folder, 'tokens'), isText);
/** Texts that name no folder name files of that one. */
export const within = ({ folder }: World, path: unknown): unknown =>
  typeof path === 'string' && !path.startsWith(folder) ? join(folder, path) : path;

/** In place of the library, which is optional. */
class Stub {
  get_vocab(): Map<string, number> {
    return new Map([['a', 0]]);
  }
}

export const data: Readonly<Record<string, Row | Plain>> = {
  Batches: make(corpus, options(batchOptions, required)),
  'Batches.epochAt': ofBatches('epochAt', step),
  'Batches.startsAnew': ofBatches('startsAnew', step),
  'Batches.batch': ofBatches('batch', step),
  'Batches.documents': ofBatches('documents', step),
  'Batches.starts': ofBatches('starts', step),
  ByteDecoder: make(),
  'ByteDecoder.push': method(() => byteTokeniser.decoder())('push', numbers([65])),
  'ByteDecoder.end': method(() => byteTokeniser.decoder())('end'),
  Corpus: plain('made by openCorpus; its constructor is internal'),
  'Corpus.documentAt': ofCorpus('documentAt', whole(1)),
  'Corpus.read': ofCorpus('read', whole(1), into),
  'Corpus.slice': ofCorpus('slice', whole(1), whole(9)),
  openCorpus: call(paths, options({ blockSize: positive(64), blocks: positive(2) })),
  maskTokens: call(
    value(new Int32Array(8)),
    options({ ...masking, outputs: positive(256), seed: whole(1), purpose: text() }, ['outputs', 'seed', 'purpose']),
  ),
  maskedBatches: call(
    made(
      (world) => new Batches(open(world), { batchSize: 2, length: 8 }),
      (x) => x instanceof Batches,
    ),
    options({ ...masking, outputs: positive(256), seed: whole(1), fixed: flag() }, ['outputs']),
  ),
  spanPlan: call(positive(16), options({ share: number(0.5), span: number(2) })),
  spanBatches: call(
    made(
      (world) => new Batches(open(world), { batchSize: 2, length: 8 }),
      (x) => x instanceof Batches,
    ),
    options({ share: number(0.5), span: number(2), sentinel: positive(256), seed: whole(1), fixed: flag() }, [
      'sentinel',
    ]),
  ),
  permutation: {
    signature: [whole(1), text(), positive(8), whole(3)],
    call: (f: typeof permutation, [seed, purpose, n, place]) =>
      f(seed as number, purpose as string, n as number)(place as number),
  },
  splitCorpus: call(corpus, number(0.5)),
  Ngram: make(corpus, options({ order: positive(2) })),
  'Ngram.probability': ofNgram('probability', numbers([65]), whole(66)),
  'Ngram.score': ofNgram('score', corpus),
  evaluateListOps: call(value('[MAX 1 2 ]')),
  taskBatch: {
    signature: [
      value(tasks['needle']),
      options(
        {
          seed: whole(1),
          batchSize: positive(2),
          length: positive(128),
          depth: number(0.5),
          filler: value(Uint8Array.of(65)),
        },
        ['seed', 'batchSize', 'length'],
      ),
      step,
    ],
    call: (f: typeof taskBatch, [task, given, at]) => f(task as never, given as never, at as never),
  },
  taskOf: call(word('copy', 'needle', 'recall', 'listops')),
  findTexts: call(paths),
  loadTokeniser: {
    signature: [
      made((world) => {
        const json = join(world.folder, 'tokenizer.json');
        writeFileSync(json, trainBpe(open(world), 258).json);
        return json;
      }, isText),
      optional(callback(() => Promise.resolve({ Tokenizer: Stub }))),
    ],
    call: (f: typeof loadTokeniser, args) => f(...(args as Parameters<typeof loadTokeniser>)),
  },
  vocabularyOf: call(path),
  TokenFile: make(made((world) => (tokenFile(world), join(world.folder, 'tokens')))),
  'TokenFile.documentAt': ofTokens('documentAt', whole(1)),
  'TokenFile.read': ofTokens('read', whole(1), into),
  tokeniseCorpus: {
    signature: [corpus, tokeniser, writable, options({ chunk: positive(64), progress: callback(() => undefined) })],
    call: (f: typeof tokeniseCorpus, [text, by, path, given], world) =>
      f(text as never, by as never, within(world, path) as never, given as never),
  },
  trainBpe: call(corpus, positive(258)),
};
