import { axial } from '../../attention/patterns/axial.js';
import { integer } from '../../attention/options.js';
import { learned, normalOf, type ParameterSpecs } from '../../attention/parameters.js';
import { withoutPadding } from '../../attention/patterns/without-padding.js';
import { add, concat, matmul, slice, splitHeads } from '../../ops/index.js';
import { full, type Tensor } from '../../tensor/index.js';
import { storedAs } from '../stored.js';
import { defineMixer, shapeOf } from './define.js';
import { joined } from './heads.js';

/** Each pixel is told what the rows of the image above its own hold: all of them, whatever the column. */
export const rowsAbove = defineMixer({
  name: 'rows-above',
  summary:
    'What the rows of an image above a pixel hold: attention along rows, then down the columns, one row lower (Axial Transformer).',
  paper: axial.definition.paper,
  formula:
    'out_(y,x) = C(z + R(z))_(y−1,x),  R attention of all pixels of a row, C of a column’s pixels to those above and themselves',
  relativeToPaper:
    'the outer layers of the paper’s image model, each shifted down by itself, so that every layer of a decoder is causal and they mix with any others; the paper shifts once, after all of them.',
  options: { width: integer({ min: 1, default: 28, help: 'pixels of a row' }) },
  supports: { causal: true, padding: true },
  // a row of the image is seen whole, so the text is computed anew as it grows
  latest: true,
  parameters: ({ features, heads, headDim }): ParameterSpecs => {
    const matrix = (from: number, to: number) => learned([from, to], normalOf(from ** -0.5));
    const inside = heads * headDim;
    return {
      rows: matrix(features, 3 * inside),
      rowsOut: matrix(inside, features),
      columns: matrix(features, 3 * inside),
      columnsOut: matrix(inside, features),
    };
  },
  cost: (sizes, { width }) => {
    const { features, heads, headDim, length } = sizes;
    const pairs = (axis: 'row' | 'column', causal: boolean): number =>
      axial.definition.cost(shapeOf(sizes), { width, axis }, causal).multiplyAdds;
    return { multiplyAdds: 8 * length * features * heads * headDim + pairs('row', false) + pairs('column', true) };
  },
  forward: ({ x, sizes: { heads }, options: { width }, lengths, parameters }) => {
    const stored = storedAs(x);
    const along = (rows: Tensor, name: 'rows' | 'columns', axis: 'row' | 'column'): Tensor => {
      const projected = matmul(rows, parameters[name]!, stored);
      const [q, k, v] = splitHeads(projected, [heads, heads, heads]) as [Tensor, Tensor, Tensor];
      const own = { width, axis, causal: axis === 'column', ...(lengths && { lengths }) };
      return matmul(joined(axial.run(q, k, v, own).out), parameters[`${name}Out`]!, stored);
    };
    const z = withoutPadding(x, lengths);
    const held = along(withoutPadding(add(z, along(z, 'rows', 'row')), lengths), 'columns', 'column');
    const [B, L, F] = x.shape as [number, number, number];
    const top = full([B, Math.min(width, L), F], 0, { device: x.device, dtype: held.dtype });
    return width >= L ? top : concat([top, slice(held, { axis: 1, end: L - width })], { axis: 1 });
  },
});
