import {
  aMask,
  device,
  either,
  floats,
  indices,
  number,
  numbers,
  options,
  positive,
  table,
  value,
  whole,
  word,
} from '../kinds.js';
import { call, type Row } from '../row.js';

const scaling = value({ type: 'linear', factor: 2 });
const layout = word('half', 'interleaved');
const permutation = options({ heads: positive(2), headDim: positive(4), rotaryDim: positive(2), to: layout }, [
  'heads',
  'headDim',
  'to',
]);
const length = either(positive(3), numbers());

export const positions: Readonly<Record<string, Row>> = {
  rope: call(
    floats(2, 4, 4),
    options({
      offset: whole(),
      layout,
      base: number(100),
      rotaryDim: positive(2),
      scaling,
      positions: { ...numbers(), valid: () => undefined },
    }),
  ),
  ropeAngles: call(
    length,
    options({ offset: whole(), base: number(100), rotaryDim: positive(4), scaling, device }, ['rotaryDim']),
  ),
  rotatePairs: call(floats(2, 4, 4), floats(4, 2), options({ layout })),
  ropeFrequencies: call(
    options({ rotaryDim: positive(4), base: number(100), scaling, length: positive(8) }, ['rotaryDim']),
  ),
  ropePermutation: call(permutation),
  permuteRopeWeight: call(floats(8, 3), permutation),
  sinusoidal: call(
    length,
    positive(4),
    options({ variant: word('paper', 'transformer-xl', 'tensor2tensor'), base: number(100), offset: number(), device }),
  ),
  learnedPositions: call(floats(8, 4), either(positive(3), indices([0, 1, 2])), options({ offset: whole() })),
  extendPositions: call(floats(8, 4), positive(16), options({ reserved: whole() })),
  relativeAttend: call(
    floats(1, 2, 4, 2),
    floats(1, 2, 4, 2),
    floats(1, 2, 4, 2),
    options({ weight: floats(4, 4), contentBias: floats(2, 2), positionBias: floats(2, 2) }, [
      'weight',
      'contentBias',
      'positionBias',
    ]),
    options({
      mask: aMask,
      scale: number(),
      dropout: value({ rate: 0.5, seed: 1 }),
      clamp: either(
        whole(2),
        value(Infinity, (x) => x === Infinity),
      ),
      base: number(100),
      method: word('table', 'rotated'),
    }),
  ),
  relativeScore: call(table(1, 2, 4, 4)),
};
