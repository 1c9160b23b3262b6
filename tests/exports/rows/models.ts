import { full } from '../../../src/index.js';
import { dense } from '../../../src/nn/feed-forward/dense.js';
import { document, Mask } from '../../../src/masks/index.js';
import {
  Classifier,
  CompressiveTransformer,
  EncoderDecoder,
  fnetMixer,
  Ends,
  presets,
  readConfig,
  type registerFeedForward,
  type registerMixer,
  Stack,
  Transformer,
  RecurrentModel,
  TransformerXl,
  XlNet,
} from '../../../src/models/index.js';
import {
  callback,
  flag,
  floats,
  indices,
  made,
  number,
  numbers,
  optional,
  positive,
  options,
  text,
  value,
  whole,
  word,
} from '../kinds.js';
import { call, make, plain, type Plain, type Row } from '../row.js';
import { ofModule } from './nn.js';
import { sessions } from './sessions.js';

const sizes = { vocabulary: 8, length: 4, layers: 1, width: 4, heads: 2, feedForward: { hidden: 4 } };
const decoder = readConfig(sizes);
const xl = readConfig({ ...sizes, kind: 'transformer-xl' });
const xlnet = readConfig({ ...sizes, kind: 'xlnet' });
const compressive = readConfig({ ...sizes, kind: 'compressive-transformer', memory: { compressed: 2, ratio: 2 } });
const both = readConfig({ ...sizes, kind: 'encoder-decoder' });
const classifier = readConfig({ ...sizes, kind: 'encoder', head: { classes: 2 } });
const tokens = indices([1, 2, 3, 4], [1, 4]);
/** Places of four targets. */
const places = indices([0, 1, 2, 3], [1, 4]);
const x = floats(1, 4, 4);
const precision = word('f32', 'f16', 'bf16');
const reduction = word('mean', 'none');
const lengths = numbers([3]);
const absent = value(undefined);
const mask = value(document([1, 1, 2, 2]), (given) => given instanceof Mask);
const context = options({
  mask,
  encodedMask: absent,
  source: absent,
  offset: whole(0),
  lengths,
  precision,
  attend: { ...callback(() => undefined), valid: () => undefined },
  types: absent,
  globalTokens: absent,
  encoded: absent,
  encodedLengths: absent,
  state: value({}, (given) => Object.keys(Object(given)).length === 0),
  losses: flag(),
  stream: absent,
  earlier: absent,
  again: absent,
});
/** What a classifier is given. */
const given = options({ lengths, mask, precision, types: absent, globalTokens: absent });
const pooledFrom = options({ ...given.options, mask: absent });
const state = made(
  ({ device }) => ({ 'recent.0': full([1, 2, 4], 0.5, { device }) }),
  (given) => JSON.stringify(given) === '{}',
);
const ofDecoder = ofModule(() => new Transformer(decoder));
const ofStack = ofModule(() => new Stack(decoder, { causal: true, cross: false }));
const ofEnds = ofModule(() => new Ends(decoder));
const ofClassifier = ofModule(() => new Classifier(classifier));
const ofBoth = ofModule(() => new EncoderDecoder(both));
const ofXl = ofModule(() => new TransformerXl(xl));
const ofRecurrentModel = ofModule(() => new RecurrentModel(xl));
const ofXlNet = ofModule(() => new XlNet(xlnet));
const ofRecurrent = options({ reduction, precision, predictions: flag(), state });
const ofCompressive = ofModule(() => new CompressiveTransformer(compressive));
/** A batch of tokens. */
const pair = { tokens, targets: tokens };
const segment = options({ state, precision, types: absent });
const protectedMethod = plain('for subclasses');

export const models: Readonly<Record<string, Row | Plain>> = {
  mixer: call(
    word('fnet', 'linear-encoder', 'random-encoder', 'mlp-mixer', 'synthesizer', 'token-learner', 'token-fuser'),
  ),
  feedForward: call(word('dense')),
  registerFeedForward: {
    signature: [value(dense), options({ plugin: text() })],
    call: (f: typeof registerFeedForward, [own, given]) => f(own as never, given as never)(),
  },
  registerMixer: {
    signature: [value(fnetMixer), options({ plugin: text() })],
    call: (f: typeof registerMixer, [own, given]) => f(own as never, given as never)(),
  },
  ...sessions,
  CompressiveTransformer: make(value(compressive)),
  'CompressiveTransformer.compress': ofCompressive('compress', whole(0), x),
  'CompressiveTransformer.carry': protectedMethod,
  readConfig: call(value(sizes, (given) => JSON.stringify(given) === '{}')),
  preset: call(word(...Object.keys(presets))),
  presetOf: call(word(...Object.keys(presets))),
  layersOf: call(value(decoder)),
  createModel: call(value(decoder)),
  EncoderDecoder: make(value(both)),
  Classifier: make(value(classifier)),
  'Classifier.hidden': ofClassifier('hidden', tokens, given),
  'Classifier.pooled': ofClassifier('pooled', tokens, pooledFrom),
  'Classifier.read': ofClassifier('read', x, options({ lengths, mask: absent })),
  'Classifier.logits': ofClassifier('logits', tokens, pooledFrom),
  'Classifier.loss': ofClassifier(
    'loss',
    options({ tokens, targets: indices([1], [1]), lengths, mask: absent, types: absent, globalTokens: absent }, [
      'tokens',
      'targets',
    ]),
    options({ reduction, precision, predictions: flag() }),
  ),
  'EncoderDecoder.embed': ofBoth('embed', tokens, whole(0)),
  'EncoderDecoder.encode': ofBoth('encode', tokens, context),
  'EncoderDecoder.decode': ofBoth(
    'decode',
    tokens,
    x,
    options({ ...context.options, encodedLengths: lengths, encodedMask: mask }),
  ),
  'EncoderDecoder.logits': ofBoth(
    'logits',
    tokens,
    tokens,
    options({ sourceLengths: lengths, sourceMask: mask, sourceGlobals: value(undefined), crossMask: mask }),
  ),
  'EncoderDecoder.loss': ofBoth(
    'loss',
    options(
      {
        source: tokens,
        ...pair,
        lengths,
        mask,
        sourceLengths: lengths,
        sourceMask: mask,
        sourceGlobals: value(undefined),
        crossMask: mask,
      },
      ['source', 'tokens', 'targets'],
    ),
    options({
      reduction,
      precision,
      predictions: flag(),
      state: value({}, (given) => Object.keys(Object(given)).length === 0),
    }),
  ),
  Stack: make(
    value(decoder),
    options({ causal: flag(), cross: flag(), separate: flag(), layer: absent }, ['causal', 'cross']),
  ),
  'Stack.rowsFor': ofStack('rowsFor', positive(4)),
  'Stack.forward': ofStack('forward', x, options({ ...context.options, types: tokens })),
  'Stack.finish': ofStack('finish', x),
  TransformerXl: make(value(xl)),
  'TransformerXl.segment': ofXl('segment', tokens, segment),
  'TransformerXl.carry': protectedMethod,
  'TransformerXl.logits': ofXl('logits', tokens, segment),
  'TransformerXl.loss': ofXl('loss', options({ ...pair, places, types: absent }, ['tokens', 'targets']), ofRecurrent),
  RecurrentModel: make(value(xl)),
  'RecurrentModel.segment': ofRecurrentModel('segment', tokens, segment),
  'RecurrentModel.logits': ofRecurrentModel('logits', tokens, segment),
  'RecurrentModel.loss': ofRecurrentModel(
    'loss',
    options({ ...pair, places, types: absent }, ['tokens', 'targets']),
    ofRecurrent,
  ),
  XlNet: make(value(xlnet)),
  'XlNet.segment': ofXlNet('segment', tokens, segment),
  'XlNet.logits': ofXlNet('logits', tokens, segment),
  'XlNet.loss': ofXlNet('loss', options({ ...pair, places, types: absent }, ['tokens', 'targets']), ofRecurrent),
  Ends: make(value(decoder)),
  'Ends.embed': ofEnds('embed', tokens, optional(floats(4, 4)), optional(absent), optional(word('encoder', 'decoder'))),
  'Ends.logits': ofEnds('logits', x),
  'Ends.loss': ofEnds(
    'loss',
    x,
    options({ targets: tokens, places }, ['targets']),
    options({ reduction, predictions: flag() }),
  ),
  Transformer: make(value(decoder)),
  'Transformer.hidden': ofDecoder('hidden', tokens, context),
  'Transformer.run': ofDecoder('run', tokens, context),
  'Transformer.predicts': ofDecoder('predicts', positive(4)),
  'Transformer.embed': ofDecoder('embed', tokens, whole(0), optional(absent)),
  'Transformer.logits': ofDecoder('logits', tokens, context),
  'Transformer.loss': ofDecoder(
    'loss',
    options({ ...pair, places, lengths, mask, types: absent, globalTokens: absent }, ['tokens', 'targets']),
    options({ reduction, precision, predictions: flag(), state }),
  ),
  sample: call(
    numbers([1, 2, 3]),
    options({ temperature: number(), topK: whole(2), topP: number(0.5), minP: number(0.5) }),
    number(0.5),
  ),
};
