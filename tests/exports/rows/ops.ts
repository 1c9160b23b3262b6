import { constant, exp, reluOf, type F32 } from '../../../src/index.js';
import {
  aMask,
  anything,
  aScore,
  callback,
  either,
  flag,
  floats,
  indices,
  list,
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
} from '../kinds.js';
import { call, type Row } from '../row.js';

const x = floats(2, 3);
const unary = call(x);
const operand = either(x, number());
const binary = call(operand, operand);
const qkv = [floats(1, 2, 4, 2), floats(1, 2, 4, 2), floats(1, 2, 4, 2)] as const;
const dtype = word('f32', 'f16', 'bf16');
const axis = whole(1);
const reduction = call(x, options({ axes: either(whole(0), numbers()), keepDims: flag() }));
const dropout = value({ rate: 0.5, seed: 1 });
const part: Kind = {
  valid: (world) => ({ out: floats(1, 2, 4, 2).valid(world), logsumexp: floats(1, 2, 4).valid(world) }),
  takes: () => false,
};
const scalar = callback((a: F32) => a.mul(2));
// of one row, so that any integer operand has the columns
const unaryNames = [
  'abs',
  'acos',
  'cos',
  'erf',
  'exp',
  'log',
  'neg',
  'sin',
  'sqrt',
  'square',
  'relu',
  'sigmoid',
  'silu',
  'tanh',
];
const binaryNames = ['add', 'sub', 'mul', 'div', 'maximum', 'minimum', 'equal', 'notEqual', 'less', 'lessEqual'].concat(
  ['greater', 'greaterEqual', 'atan2', 'pow'],
);
const named = (names: readonly string[], row: Row): Record<string, Row> =>
  Object.fromEntries(names.map((name) => [name, row]));

export const ops: Readonly<Record<string, Row>> = {
  ...named(unaryNames, unary),
  ...named(binaryNames, binary),
  ...named(['sum', 'mean', 'max', 'min', 'logsumexp'], reduction),
  where: call(floats(2, 3), operand, operand),
  gelu: call(x, options({ approximate: word('none', 'tanh') })),
  defineKernel: {
    signature: [
      options({ name: text(), parameters: value({ x: 'pointer' }), cpu: callback(() => undefined) }, [
        'name',
        'parameters',
        'cpu',
      ]),
    ],
    call: (f: (given: never) => unknown, [given]) => void f(given as never),
  },
  argmax: call(x, options({ axis, keepDims: flag() })),
  attend: call(...qkv, options({ causal: flag(), mask: aMask, score: aScore, scale: number(), dropout })),
  attendGathered: call(
    ...qkv,
    options({
      queryOrder: indices([0, 1, 2, 3, 0, 1, 2, 3], [1, 2, 4]),
      keyOrder: indices([0, 1, 2, 3, 0, 1, 2, 3], [1, 2, 4]),
      mask: aMask,
      score: callback(({ score }: { score: F32 }) => score),
      causal: flag(),
      scale: number(),
      dropout,
    }),
  ),
  mergeAttention: call(part, part),
  cast: call(x, word('f16', 'f32', 'bf16', 'i32', 'u8')),
  choleskyInverse: call(floats(3, 1, 1)),
  qr: call(floats(3, 2, 1)),
  convolve: call(floats(1, 2, 4, 2), floats(2, 3)),
  crossEntropy: call(
    floats(2, 3),
    indices([0, 1]),
    options({ ignoreIndex: whole(-100), labelSmoothing: number(), reduction: word('mean', 'sum', 'none') }),
  ),
  entmaxAttend: call(
    ...qkv,
    options({ causal: flag(), mask: aMask, scale: number(), alpha: number(1.5), excess: floats(2) }),
  ),
  embedding: call(floats(4, 3), indices([0, 1])),
  fourier: call(options({ re: x, im: x }, ['re']), options({ axis })),
  fourierMix: call(x),
  fourierMixCost: call(positive(2), positive(4), positive(4)),
  gather: call(x, indices([0, 1]), options({ axis: whole(0) })),
  scatterAdd: call(x, indices([0, 1]), floats(2, 3), options({ axis: whole(0) })),
  takeAlong: call(x, indices([0, 1], [2, 1])),
  gatherRows: call(floats(1, 3, 2), indices([0, 1], [1, 2])),
  scatterRows: call(floats(1, 2, 2), indices([0, 1], [1, 2]), positive(3)),
  groupedMatmul: call(
    floats(3, 2),
    floats(2, 4, 2),
    indices([1, 3], [2]),
    options({ bias: floats(2, 4), transposeWeights: flag(), activation: callback(reluOf), dtype }),
  ),
  weighRows: call(floats(1, 2), floats(3, 2), indices([0, 1], [1, 2]), options({ sparse: flag() })),
  dotRows: call(floats(1, 2), floats(3, 2), indices([0, 1], [1, 2]), options({ sparse: flag() })),
  splitHeads: call(floats(1, 2, 6), numbers([1, 2])),
  recurrentAttend: call(
    floats(1, 2, 4, 2),
    floats(1, 2, 4, 2),
    floats(1, 2, 4, 3),
    options({
      decay: floats(1, 2, 4),
      beta: floats(1, 2, 4),
      initialState: floats(1, 2, 2, 3),
      chunk: positive(2),
      lengths: numbers([3]),
    }),
  ),
  linearAttend: call(
    ...qkv,
    options({
      causal: flag(),
      normalise: flag(),
      eps: number(),
      initialState: floats(1, 2, 2, 3),
      decay: floats(1, 2, 4),
      chunk: positive(2),
      lengths: numbers([3]),
      onRowsLost: callback(() => undefined),
    }),
  ),
  map: call(scalar, x, x),
  matmul: call(
    floats(3, 2),
    floats(4, 3),
    options({ transposeA: flag(), transposeB: flag(), bias: floats(4), activation: callback(reluOf), dtype }),
  ),
  layerNorm: call(x, options({ weight: floats(3), bias: floats(3), epsilon: number(), dtype })),
  rmsNorm: call(x, options({ weight: floats(3), epsilon: number(), dtype })),
  poolRows: call(floats(1, 2, 4, 2), floats(1, 1, 2, 3), options({ stride: positive(2) }, ['stride'])),
  sumTo: call(x, shape(1, 3)),
  runningMax: call(x, options({ initial: floats(2) })),
  cumulativeSum: call(x, options({ axis, exclusive: flag(), reverse: flag() })),
  symmetricSquare: call(x),
  broadcastTo: call(floats(1, 3), shape(2, 3)),
  concat: call(list(x), options({ axis })),
  detach: call(x, options({ requiresGradient: flag() })),
  pad: call(
    x,
    value(
      [
        [0, 1],
        [1, 0],
      ],
      (v) => JSON.stringify(v) === '[[1,2],[3,4]]',
    ),
    options({ value: number() }),
  ),
  reshape: call(x, shape(3, 2)),
  slice: call(x, options({ axis, start: whole(0), end: whole(2), step: positive() })),
  split: call(x, numbers([1, 2]), options({ axis })),
  transpose: call(x, optional(shape(1, 0))),
  segmentMax: call(floats(2, 4, 3), positive(2), options({ lengths: numbers([3, 4]) })),
  segmentMean: call(floats(2, 4, 3), positive(2), options({ lengths: numbers([3, 4]) })),
  softmax: call(x, options({ axis })),
  argsort: call(x, options({ descending: flag() })),
  searchSorted: call(floats(2, 3), floats(2, 4)),
  sort: call(x, options({ descending: flag() })),
  topK: call(x, positive(2)),
  // parts of expressions, not of tensors
  ...named(['geluOf', 'geluTanhOf', 'reluOf', 'sigmoidOf', 'siluOf'], call(value(constant(1)))),
  constant: call(either(number(1), flag()), optional(word('f32', 'i32', 'bool'))),
  variable: call(text('x'), word('f32', 'i32', 'bool')),
  select: call(flag(), number(), number()),
  tableOf: call(text(), value(Float32Array.of(1, 2)), optional(shape(2))),
  lookup: call(value({ name: 'a', dtype: 'f32', shape: [2], source: Float32Array.of(1, 2) }), whole(1)),
  print: call(value(constant(1))),
};
void anything;
void exp;
