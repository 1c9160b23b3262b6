import { causal, constant, Mask, Score, type Bool, type F32 } from '../../../src/index.js';
import {
  anything,
  open,
  aMask,
  callback,
  either,
  flag,
  list,
  number,
  numbers,
  options,
  positive,
  shape,
  text,
  value,
  whole,
  word,
  aScore,
  optional,
  table,
  floats,
  indices,
} from '../kinds.js';
import { call, make, method, type Row } from '../row.js';

const place = { B: 1, H: 2, G: 2, L: 4, S: 4 };
const aPlace = open(
  options({ B: positive(), H: positive(2), G: anything(2), L: positive(4), S: positive(4) }, ['B', 'H', 'L', 'S']),
);
const part = word('union', 'local', 'summary');
const tiles = open(
  options(
    {
      B: positive(),
      H: positive(),
      L: positive(4),
      S: positive(4),
      queryTile: positive(2),
      keyTile: positive(2),
      queryOffset: whole(0),
    },
    ['B', 'H', 'L', 'S', 'queryTile', 'keyTile', 'queryOffset'],
  ),
);
const rule = callback(({ k, q }: { k: { le: (x: unknown) => Bool }; q: unknown }) => k.le(q));
// alternatives to another option
const absent = value(undefined);
const building = callback(() => constant(true));
const changing = callback(({ score }: { score: F32 }) => score.mul(2));
const expression = value(causal().expression(place));
const nothing = value(null, (v) => v === null);
const ofMask = method(() => causal());
const ofScore = method(() => new Score('twice', ({ score }) => score.mul(2)));

export const masks: Readonly<Record<string, Row>> = {
  blocks: call(options({ size: positive(2) }, ['size'])),
  byHead: call(list(aMask)),
  causal: call(),
  classifyTiles: call(either(expression, nothing), tiles),
  countPairs: call(either(aMask, expression, nothing), aPlace),
  dense: call(
    value(
      Array.from({ length: 16 }, (_, i) => i % 2),
      (v) => Array.isArray(v) && v.every((e) => typeof e === 'number'),
    ),
    shape(4, 4),
  ),
  dilated: call(
    options({ dilation: positive(2), radiusSlots: positive(), causalSlots: absent }, ['dilation', 'radiusSlots']),
  ),
  document: call(
    either(
      numbers([0, 0, 1, 1]),
      value(
        [
          [1, 2],
          [3, 4],
        ],
        (v) => JSON.stringify(v) === '[[1,2],[3,4]]',
      ),
    ),
  ),
  fixed: call(options({ stride: positive(4), columns: positive(2), group: whole(1), part }, ['stride', 'columns'])),
  global: call(numbers([0, 1]), options({ access: word('symmetric', 'readOnly', 'writeOnly') })),
  lengths: call(numbers([3])),
  localBlocks: call(
    options({ size: positive(2), before: whole(), after: whole(), ahead: whole() }, ['size', 'before', 'after']),
  ),
  localImage: call(
    options(
      {
        height: positive(2),
        width: positive(2),
        blockHeight: positive(1),
        blockWidth: positive(1),
        flangeHeight: whole(1),
        flangeWidth: whole(1),
        order: word('raster', 'blocks'),
      },
      ['height', 'width', 'blockHeight', 'blockWidth', 'flangeHeight', 'flangeWidth'],
    ),
  ),
  mask: call(rule),
  periodicity: call(expression),
  pickedBlocks: call(options({ numBlocks: positive(2), picks: value([[[0], [1]]]) }, ['numBlocks', 'picks'])),
  prefix: call(either(whole(2), numbers([2]))),
  ranges: call(aPlace),
  shiftedBlocks: call(options({ numBlocks: positive(2), shifts: numbers([0, 1]) }, ['numBlocks', 'shifts'])),
  strided: call(options({ stride: positive(2), part }, ['stride'])),
  tileClass: call(value({ classes: { perBatch: false, perHead: true, count: 2 } }), positive(2), whole(0), whole(1)),
  within: call(options({ radius: positive(2), left: absent, right: absent, causalWindow: absent }, ['radius'])),
  Mask: make(text(), building),
  'Mask.and': ofMask('and', aMask),
  'Mask.or': ofMask('or', aMask),
  'Mask.not': ofMask('not'),
  'Mask.expression': ofMask('expression', aPlace),
  'Mask.toString': ofMask('toString'),
};

export const scores: Readonly<Record<string, Row>> = {
  alibi: call(optional(numbers([0.5, 0.25]))),
  alibiSlopes: call(positive(2), options({ exponent: number(8) })),
  bias: call(table(2, 4, 4)),
  floatTable: call(text(), floats(4), optional(shape(4))),
  integerTable: call(text(), indices([0, 1, 2, 3]), optional(shape(4))),
  score: call(changing),
  softcap: call(number(30)),
  t5Bias: call(table(8, 2), options({ buckets: positive(8), maxDistance: positive(16), bidirectional: flag() })),
  t5Bucket: call(whole(3), options({ buckets: positive(8), maxDistance: positive(16), bidirectional: flag() })),
  visible: call(rule),
  Score: make(text(), changing),
  'Score.andThen': ofScore('andThen', aScore),
  'Score.expression': ofScore('expression', aPlace),
  'Score.toString': ofScore('toString'),
};
void Mask;
void constant;
void floats;
