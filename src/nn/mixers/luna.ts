import { flag, integer } from '../../attention/options.js';
import { luna } from '../../attention/low-rank/luna.js';
import { learned, normalOf, type ParameterSpecs } from '../../attention/parameters.js';
import { withoutPadding } from '../../attention/patterns/without-padding.js';
import { lengths as padding } from '../../masks/index.js';
import { ShapeError } from '../../core/errors.js';
import { show } from '../../core/shape.js';
import { add, attend, concat, matmul, slice } from '../../ops/index.js';
import type { Tensor } from '../../tensor/index.js';
import { storedAs } from '../stored.js';
import { defineMixer } from './define.js';
import { headsOf, joined, learnedRows } from './heads.js';

/** A memory before the tokens, packed anew in every layer, which the tokens attend to. */
export const lunaMixer = defineMixer({
  name: 'luna',
  summary: 'A memory of a few rows goes from layer to layer: it attends to the tokens, and they to it.',
  paper: luna.definition.paper,
  formula:
    'P′ = softmax(P W_p (x W_c)ᵀ/√D) x W_c,  Y = softmax(x W_q (P′ W_m)ᵀ/√D) P′ W_m W_o;  P + P′ and x + Y go on',
  relativeToPaper:
    'the memory is the first rows of the stream, so that the perceptron of the layer works on it too, where the paper’s is of tokens alone. Not causal: a memory of all tokens holds later ones; the causal form, whose memory stays in the layer, is the mechanism of this name.',
  options: {
    memory: integer({ min: 1, default: 32, help: 'rows of the memory' }),
    opens: flag({
      default: true,
      help: 'the memory is learned, and put before the tokens; false: the layer before has it there',
    }),
    closes: flag({
      default: true,
      help: 'the tokens alone go on; false: the layer after takes the memory before them',
    }),
  },
  supports: { causal: false, padding: true },
  parameters: ({ features }, { memory, opens }): ParameterSpecs => {
    const matrix = learned([features, features], normalOf(features ** -0.5));
    return {
      ...(opens && { memory: learned([memory, features], normalOf(features ** -0.5)) }),
      pack: matrix,
      context: matrix,
      query: matrix,
      unpack: matrix,
      out: matrix,
    };
  },
  refuse: ({ features, heads, headDim }) =>
    heads * headDim === features
      ? []
      : [`takes heads that make up the ${features} features of the memory; got ${heads} of ${headDim}`],
  resize: (rows, { memory, opens, closes }) => rows + (opens ? memory : 0) - (closes ? memory : 0),
  cost: ({ features, length }, { memory, opens }) => {
    const tokens = opens ? length : length - memory;
    return { multiplyAdds: features * features * (3 * tokens + 2 * memory) + 4 * memory * tokens * features };
  },
  forward: ({ x, stream, sizes: { heads }, options: own, lengths: given, parameters }) => {
    const { memory, opens, closes } = own;
    if (!opens && x.shape[1]! <= memory) {
      throw new ShapeError(
        `luna: takes ${memory} rows of memory and tokens after them; got ${show(x.shape)}. Let a layer before open it.`,
      );
    }
    const lengths = opens ? given : given?.map((length) => Math.max(0, length - memory));
    const before = (all: Tensor): Tensor =>
      opens ? learnedRows(parameters['memory']!, x) : slice(all, { axis: 1, end: memory });
    const after = (all: Tensor): Tensor => (opens ? all : slice(all, { axis: 1, start: memory }));
    const tokens = withoutPadding(after(x), lengths);
    const of = (rows: Tensor, name: string): Tensor => headsOf(rows, parameters[name]!, heads);
    const context = of(tokens, 'context');
    const mask = lengths && padding(lengths);
    const packed = joined(attend(of(before(x), 'pack'), context, context, mask ? { mask } : {}).out); // [B, l, F]
    const kept = of(packed, 'unpack');
    const unpacked = joined(attend(of(tokens, 'query'), kept, kept).out);
    const rows = add(after(stream), matmul(unpacked, parameters['out']!, storedAs(x)));
    return closes ? rows : concat([add(before(stream), packed), rows], { axis: 1 });
  },
});
