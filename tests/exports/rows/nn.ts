import { flash } from '../../../src/attention/index.js';
import { document, Mask } from '../../../src/masks/index.js';
import { mul, type Tensor } from '../../../src/index.js';
import {
  activations,
  Attention,
  Block,
  chain,
  Dropout,
  AdaptiveEmbedding,
  AdaptiveSoftmax,
  Embedding,
  DenseFeedForward,
  joined,
  BatchNorm,
  LayerNorm,
  Linear,
  LowRank,
  Module,
  parted,
  Positions,
  reordered,
  reshaped,
  Residual,
  RmsNorm,
  transposed,
  type AttentionOptions,
  type Change,
  type recompute,
  weightMap,
} from '../../../src/nn/index.js';
import { dense } from '../../../src/nn/feed-forward/dense.js';
import { synthesizerMixer } from '../../../src/nn/mixers/synthesizer.js';
import {
  callback,
  device,
  either,
  flag,
  floats,
  indices,
  list,
  made,
  number,
  numbers,
  optional,
  options,
  positive,
  shape,
  text,
  value,
  whole,
  word,
  type Kind,
  type World,
} from '../kinds.js';
import { call, make, method, plain, type Plain, type Row } from '../row.js';

const x = floats(1, 3, 4);
const isEmptyList = (given: unknown): boolean => Array.isArray(given) && given.length === 0;
const isEmpty = (given: unknown): boolean => Object.keys(Object(given)).length === 0;
const same = callback((rows: Tensor) => rows);
const activation = word(...Object.keys(activations));
const precision = optional(word('f32', 'f16', 'bf16'));
const init = callback((extents: readonly number[]) => new Float32Array(extents.reduce((a, b) => a * b, 1)));
const training = options({ seed: whole(1), step: whole(1) }, ['seed', 'step']);
const isModule = (given: unknown): boolean => given instanceof Module;
const modules = list(
  made(() => new Dropout(0.5), isModule),
  1,
);
const attention = { heads: 2, causal: true, mechanism: flash, length: 8 } satisfies AttentionOptions;
const attentionOptions = options(
  {
    heads: positive(2),
    kvHeads: positive(2),
    headDim: positive(2),
    valueDim: positive(2),
    causal: flag(),
    mechanism: value(flash),
    settings: options({}),
    length: positive(8),
    positions: value(undefined, (given) => given instanceof Positions),
    separate: flag(false),
    pooling: value(undefined),
    projection: value(undefined),
    bias: either(flag(), word('qkv', 'out')),
    scale: number(),
    softcap: number(),
    queryKeyNorm: value({ over: 'heads', kind: 'rms' }),
    sinks: flag(),
    gate: flag(false),
    globals: value(undefined),
    zeroPadding: flag(),
    outInit: init,
  },
  ['heads', 'causal', 'mechanism', 'length'],
);
const own = (kind: Kind): Kind => ({ ...kind, options: undefined as never });
const feedForward = { activation, gated: flag(), bias: flag(), dropout: number(0.1), chunk: positive(2) };
const residual = { norm: 'rms', normPlace: 'pre', dropout: 0.1 } as const;
const ofNorm = { bias: flag(), centred: flag(false) };
const residualOptions = options(
  {
    norm: word('rms', 'layer'),
    normPlace: word('pre', 'post', 'branch', 'both'),
    epsilon: number(),
    dropout: number(),
    parallel: word('one', 'two'),
    bare: flag(),
    prefix: whole(0),
    ...ofNorm,
  },
  ['norm', 'normPlace', 'dropout'],
);
const none = value(undefined);
const isLists = (given: unknown): boolean => Array.isArray(given) && given.every((one) => Array.isArray(one));
const mask = value(document([1, 1, 2]), (given) => given instanceof Mask);
/** What attention's projections are given beside x; `source` is for a layer that is separate. */
const over = { source: none, offset: whole(0), globalTokens: value(undefined, isLists), again: none };
const branch = options({
  ...over,
  mask,
  types: indices([1, 0, 1], [1, 3]),
  lengths: numbers([3]),
  state: value({}, isEmpty),
  losses: flag(),
  stream: none,
  earlier: none,
});
const context = options({
  ...over,
  mask,
  encodedMask: none,
  types: indices([1, 0, 1], [1, 3]),
  lengths: numbers([3]),
  precision,
  attend: callback((_: unknown, rows: Tensor) => rows),
  encoded: none,
  encodedLengths: none,
  state: value({}, isEmpty),
  losses: flag(),
  stream: none,
  earlier: none,
});
const sizes = { features: 4, heads: 2, headDim: 2, length: 8, causal: true };
const reversible = { modules: [], f: (rows: Tensor) => rows, g: (rows: Tensor) => rows };

/** Methods of a module that is made, with values, for each call. */
export const ofModule =
  (of: () => Module) =>
  (name: string, ...signature: readonly Kind[]): Row => ({
    signature,
    call: (_, args, world) => using(world, of(), (module) => methodsOf(module)[name]!, args),
  });

type Method = (...args: readonly unknown[]) => unknown;
const methodsOf = (module: Module): Readonly<Record<string, Method>> => module as never;

function using(world: World, module: Module, method: (of: Module) => Method, args: readonly unknown[]): unknown {
  try {
    module.initialise({ device: world.device, seed: 1 });
    return method(module).apply(module, [...args]);
  } finally {
    module.dispose();
  }
}

class Part extends Module {}
const lowRank = options({ rank: positive(2), alpha: number() }, ['rank', 'alpha']);
const ofLinear = ofModule(() => new Linear(4, 2));
const ofEmbedding = ofModule(() => new Embedding(8, 4));
const adaptive = () => new AdaptiveEmbedding(8, 4, { cutoffs: [4], divide: 2, width: 4 });
const ofAdaptive = ofModule(adaptive);
class Both extends Module {
  readonly embedding = this.child('embedding', adaptive());
  readonly softmax = this.child('softmax', new AdaptiveSoftmax(this.embedding));
  forward(rows: Tensor): Tensor {
    return this.softmax.forward(rows);
  }
}
const ofSoftmax = ofModule(() => new Both());
const ofAttention = ofModule(() => new Attention(4, attention));
const ofCross = ofModule(() => new Attention(4, { ...attention, separate: true }));
const parts = () => ({ mixer: new Attention(4, attention), feedForward: new DenseFeedForward(4, 8), residual });
const ofBlock = ofModule(() => new Block(4, parts()));
const ofResidual = ofModule(() => new Residual(4, residual));
const ofPositions = ofModule(() => new Positions({ method: 'rope' }, sizes));
const named = (name: string): Kind =>
  made(
    (world) => new Map([[name, floats(4, 2).valid(world)]]),
    (given) => given instanceof Map,
  );

const mixerSizes = options(
  {
    features: positive(4),
    width: positive(4),
    heads: positive(2),
    headDim: positive(2),
    length: positive(8),
    causal: flag(),
  },
  ['features', 'heads', 'headDim', 'length', 'causal'],
);
const ofSynthesizer = (name: 'settle' | 'create' | 'cost'): Row => ({
  signature: [mixerSizes, value({}, isEmpty)],
  call: (_, [sizes, own]) => synthesizerMixer[name](sizes as never, own as never),
});

const feedForwardSizes = options(
  {
    features: positive(4),
    hidden: positive(8),
    activation,
    gated: flag(),
    chunk: whole(0),
    bias: flag(),
    length: positive(8),
    causal: flag(),
    share: number(1),
  },
  ['features', 'hidden', 'activation', 'gated', 'chunk', 'length', 'causal', 'share'],
);
const ofDense = (name: 'settle' | 'create' | 'cost'): Row => ({
  signature: [feedForwardSizes, value({}, isEmpty)],
  call: (_, [given, own]) => dense[name](given as never, own as never),
});

const change = value(transposed);
/** Both ways of a change, which take these tensors. */
const ways = (name: string, of: Change, theirs: readonly Kind[], ours: readonly Kind[]): Record<string, Row> => {
  const all = (kinds: readonly Kind[]): Kind => made((world) => kinds.map((one) => one.valid(world)), isEmptyList);
  const ofChange = method(() => of);
  return {
    [`${name}().toOurs`]: ofChange('toOurs', all(theirs)),
    [`${name}().toTheirs`]: ofChange('toTheirs', all(ours)),
  };
};

export const nn: Readonly<Record<string, Row | Plain>> = {
  activate: call(x, activation),
  gate: call(x, x, activation),
  Attention: make(positive(4), attentionOptions),
  'Attention.forward': ofAttention('forward', x, branch),
  'Attention.project': ofAttention('project', x, options(over)),
  'Attention.queries': ofCross('queries', x),
  'Attention.keys': ofCross('keys', x),
  'Attention.combine': ofAttention('combine', floats(1, 2, 3, 2), optional(floats(1, 2, 3)), optional(none)),
  'Attention.callOptions': ofAttention('callOptions'),
  Block: make(
    positive(4),
    options(
      {
        mixer: made(() => new Attention(4, attention), isModule),
        cross: none,
        feedForward: made(() => new DenseFeedForward(4, 8), isModule),
        residual: own(residualOptions),
        normBeforeMixing: flag(),
        prefix: whole(0),
        width: positive(4),
      },
      ['mixer', 'feedForward', 'residual'],
    ),
  ),
  'Block.forward': ofBlock('forward', x, context),
  'Block.given': ofBlock('given', x, precision),
  'Block.mix': ofBlock('mix', x, context),
  'Block.feed': ofBlock('feed', x, context),
  checkpointed: call(
    list(value({ modules: [], forward: (rows: Tensor) => mul(rows, 2) }), 1),
    positive(1),
    x,
    optional(list(x, 0)),
  ),
  Dropout: make(number(0.5)),
  'Dropout.forward': {
    signature: [x, options({ firstRow: whole(0) })],
    call: (_, args, world) =>
      using(world, new Dropout(0.5).train({ seed: 1, step: 1 }), (module) => methodsOf(module)['forward']!, args),
  },
  Embedding: make(positive(8), positive(4), options({ init })),
  'Embedding.forward': ofEmbedding('forward', indices([1, 2])),
  'Embedding.logits': ofEmbedding('logits', x, optional(positive(1)), options({ bias: floats(1) })),
  AdaptiveEmbedding: make(
    positive(8),
    positive(4),
    options({ cutoffs: numbers([4]), divide: positive(2), width: positive(4) }, ['cutoffs', 'width']),
  ),
  'AdaptiveEmbedding.table': ofAdaptive('table', whole(0)),
  'AdaptiveEmbedding.projection': ofAdaptive('projection', whole(0)),
  'AdaptiveEmbedding.forward': ofAdaptive('forward', indices([1, 2])),
  AdaptiveSoftmax: make(
    made(
      () => adaptive(),
      (given) => given instanceof AdaptiveEmbedding,
    ),
    options({ tied: flag(), projections: word('tied', 'tails', 'own') }),
  ),
  'AdaptiveSoftmax.forward': ofSoftmax('forward', x),
  DenseFeedForward: make(positive(4), positive(8), options({ ...feedForward, init, outInit: init })),
  'DenseFeedForward.forward': ofModule(() => new DenseFeedForward(4, 8))('forward', x),
  Linear: make(positive(4), positive(2), options({ bias: flag(), init })),
  'Linear.forward': ofLinear('forward', x, optional(callback((one: unknown) => one))),
  'Linear.adapt': ofLinear('adapt', lowRank),
  'Linear.merge': ofLinear('merge'),
  LowRank: make(positive(4), positive(2), lowRank),
  'LowRank.forward': ofModule(() => new LowRank(4, 2, { rank: 1, alpha: 1 }))('forward', x),
  'LowRank.product': ofModule(() => new LowRank(4, 2, { rank: 1, alpha: 1 }))('product'),
  FeedForwardKind: plain('made by defineFeedForward; its constructor is internal'),
  'FeedForwardKind.settle': ofDense('settle'),
  'FeedForwardKind.create': ofDense('create'),
  'FeedForwardKind.cost': ofDense('cost'),
  'FeedForwardKind.supports': plain('its argument is a word of a type'),
  defineFeedForward: call(
    options(
      {
        name: text('mine'),
        summary: text(),
        paper: value({ authors: 'A', title: 'T', year: 2026 }),
        formula: text(),
        relativeToPaper: text(),
        options: value({}, isEmpty),
        supports: value({ causal: false }, isEmpty),
        defaults: value({ gated: true }, isEmpty),
        refuse: callback(() => []),
        cost: callback(() => ({ multiplyAdds: 1 })),
        create: callback(() => new DenseFeedForward(4, 4)),
      },
      ['name', 'summary', 'paper', 'formula', 'options', 'create'],
    ),
  ),
  MixerKind: plain('made by defineMixer; its constructor is internal'),
  'MixerKind.settle': ofSynthesizer('settle'),
  'MixerKind.create': ofSynthesizer('create'),
  'MixerKind.cost': ofSynthesizer('cost'),
  defineMixer: call(
    options(
      {
        name: text('mine'),
        summary: text(),
        paper: value({ authors: 'A', title: 'T', year: 2026 }),
        formula: text(),
        relativeToPaper: text(),
        options: value({}, isEmpty),
        supports: value({ causal: false, padding: false }),
        parameters: callback(() => ({})),
        refuse: callback(() => []),
        resize: callback((rows: number) => rows),
        base: callback((stream: unknown) => stream),
        // with resize it is refused, so no call has both
        restores: none,
        latest: flag(),
        whole: flag(),
        // with whole it is refused, so no call has both
        recurrence: none,
        widens: flag(),
        cost: callback(() => ({ multiplyAdds: 1 })),
        forward: callback(({ x: rows }: { readonly x: Tensor }) => rows),
      },
      ['name', 'summary', 'paper', 'formula', 'options', 'supports', 'forward'],
    ),
  ),
  ModuleList: make(modules),
  Module: plain('abstract: its subclasses have rows'),
  'Module.parameter': {
    signature: [text(), value({ shape: [2], init: () => new Float32Array(2), learned: true })],
    call: (_, args) => methodsOf(new Part())['parameter']!(...args),
  },
  'Module.child': {
    signature: [text(), made(() => new Part(), isModule)],
    call: (_, args) => methodsOf(new Part())['child']!(...args),
  },
  'Module.remove': { signature: [text()], call: (_, args) => methodsOf(new Part())['remove']!(...args) },
  'Module.modules': ofLinear('modules'),
  'Module.namedParameters': ofLinear('namedParameters'),
  'Module.initialise': ofLinear('initialise', options({ device, seed: whole(1) }, ['device', 'seed'])),
  'Module.stateDict': ofLinear('stateDict'),
  'Module.learnedTensors': ofLinear('learnedTensors'),
  'Module.store': ofLinear('store', word('f32', 'f16', 'bf16')),
  'Module.freeze': ofLinear('freeze', optional(callback(() => true)), optional(flag())),
  'Module.load': ofModule(() => new Linear(4, 2, { bias: false }))(
    'load',
    named('weight'),
    options({
      transposed: callback(() => false),
      map: value(weightMap([['{*}', '{*}']])),
      missing: word('refuse', 'keep'),
      unexpected: word('refuse', 'ignore'),
    }),
  ),
  'Module.train': ofLinear('train', training),
  'Module.eval': ofLinear('eval'),
  'Module.during': plain('internal'),
  'Module.dispose': ofLinear('dispose'),
  BatchNorm: make(positive(4), options({ epsilon: number(), momentum: number(), past: flag() })),
  'BatchNorm.forward': ofModule(() => new BatchNorm(4))('forward', x, optional(numbers([3]))),
  LayerNorm: make(positive(4), options({ epsilon: number(), ...ofNorm })),
  'LayerNorm.forward': ofModule(() => new LayerNorm(4))('forward', x),
  RmsNorm: make(positive(4), options({ epsilon: number(), centred: flag() })),
  'RmsNorm.forward': ofModule(() => new RmsNorm(4))('forward', x),
  Parameter: plain('made by a module; its constructor is internal'),
  'Parameter.set': {
    signature: [floats(4, 2)],
    call: (_, [next], world) =>
      using(world, new Linear(4, 2), (module) => () => (module as Linear).weight.set(next as never), []),
  },
  'Parameter.lend': plain('internal'),
  'Parameter.store': plain('internal'),
  'Parameter.freeze': plain('internal'),
  'Parameter.dispose': {
    signature: [],
    call: () => {
      new Linear(4, 2).weight.dispose();
    },
  },
  Positions: make(
    value({ method: 'rope' }),
    options(
      {
        features: positive(4),
        heads: positive(2),
        headDim: positive(2),
        length: positive(8),
        causal: flag(),
        stride: positive(2),
        separateClass: flag(),
      },
      Object.keys(sizes),
    ),
  ),
  'Positions.places': ofPositions('places', optional(flag())),
  'Positions.embed': ofModule(() => new Positions({ method: 'sinusoidal' }, sizes))(
    'embed',
    positive(3),
    whole(0),
    device,
  ),
  'Positions.embedTokens': ofPositions('embedTokens', indices([1, 2, 3], [1, 3]), whole(0)),
  'Positions.rotate': ofPositions('rotate', floats(1, 2, 3, 2), whole(0)),
  'Positions.score': ofPositions('score'),
  'Positions.blockScore': plain('what keys of blocks ask of it; internal'),
  'Positions.against': ofPositions('against', positive(8)),
  'Positions.dispose': ofPositions('dispose'),
  recompute: {
    signature: [
      either(
        modules,
        made(() => new Dropout(0.5), isModule),
      ),
      callback((rows: Tensor) => [rows]),
      list(x, 1),
    ],
    call: (f: typeof recompute, args) => f(...(args as Parameters<typeof recompute>)),
  },
  reversible: call(list(value(reversible), 1), x, x, optional(list(x, 0))),
  normOf: call(word('layer', 'rms'), positive(4), optional(number()), options(ofNorm)),
  Residual: make(positive(4), residualOptions),
  'Residual.forward': ofResidual('forward', x, same, precision),
  'Residual.given': ofResidual('given', x, precision),
  'Residual.branch': ofResidual('branch', x, same, precision),
  'Residual.added': plain('internal: what a block gives it is what its branches gave'),
  chain: call(change, change),
  ...ways('chain', chain(transposed, transposed), [floats(4, 2)], [floats(4, 2)]),
  joined: call(whole(0), shape(1, 3)),
  ...ways('joined', joined(0, [1, 3]), [floats(1, 2), floats(3, 2)], [floats(4, 2)]),
  parted: call(whole(0), shape(1, 3)),
  ...ways('parted', parted(0, [1, 3]), [floats(4, 2)], [floats(1, 2), floats(3, 2)]),
  reordered: call(whole(0), numbers([1, 0])),
  ...ways('reordered', reordered(0, [1, 0]), [floats(2, 2)], [floats(2, 2)]),
  reshaped: call(shape(4, 2), shape(8)),
  ...ways('reshaped', reshaped([4, 2], [8]), [floats(4, 2)], [floats(8)]),
  weightMap: call(
    value([['theirs', 'ours', transposed]], isEmptyList),
    options({ ties: value({ copy: 'theirs' }, isEmpty), ignored: list(text('mask'), 1), own: list(text('mask'), 1) }),
  ),
  'weightMap().toTheirs': method(() => weightMap([['theirs', 'ours']], { ties: { copy: 'theirs' } }))(
    'toTheirs',
    named('ours'),
  ),
};
