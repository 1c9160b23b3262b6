import { integer } from '../../attention/options.js';
import { learned, normalOf, type ParameterSpecs } from '../../attention/parameters.js';
import { withoutPadding } from '../../attention/patterns/without-padding.js';
import { defineMixer } from './define.js';
import { learnedRows } from './heads.js';
import { summaryOfBlock } from './set-attention.js';
import { blockCost, blockParameters, paper, refuseSizes, setBlock, setOptions, within } from './set-block.js';

/** A set attends to itself through learned points (ISAB). */
export const inducedSetMixer = defineMixer({
  name: 'induced-set',
  summary: 'Learned points attend to a set, and its elements to what became of the points (ISAB of Set Transformer).',
  paper,
  formula: 'out = MAB(x, MAB(I, x)),  MAB as in set-attention',
  relativeToPaper: summaryOfBlock,
  options: {
    points: integer({ min: 1, default: 32, help: 'learned points that stand for the set' }),
    ...setOptions,
  },
  supports: { causal: false, padding: true },
  parameters: (sizes, options): ParameterSpecs => ({
    points: learned([options.points, sizes.features], normalOf(sizes.features ** -0.5)),
    ...blockParameters(sizes, options, 'inner'),
    ...blockParameters(sizes, options, 'outer'),
  }),
  refuse: refuseSizes,
  // as many, but the residual is inside
  resize: (rows) => rows,
  cost: (sizes, { points }) => ({
    multiplyAdds: blockCost(sizes, points, sizes.length) + blockCost(sizes, sizes.length, points),
  }),
  forward: ({ x, sizes: { heads }, lengths, parameters }) => {
    const rows = withoutPadding(x, lengths);
    const of = (block: string) => (name: string) => parameters[within(block, name)];
    const points = setBlock([learnedRows(parameters['points']!, x), rows], of('inner'), heads, lengths);
    return setBlock([rows, points], of('outer'), heads);
  },
});
