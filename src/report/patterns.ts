import type { CompareRow } from '../studies/compare.js';
import type { MaskPicture } from '../studies/picture.js';
import type { Direction } from './choice.js';
import { costOf, costsOf, unitOf } from './costs.js';
import * as format from './format.js';
import { card } from './charts.js';
import { markup, type Markup } from './html.js';
import { maskFigure } from './mask-figure.js';

/** Pictures of the patterns, with what they cost and give. */
export function patterns({ comparison: { pictures, rows, lengths }, swaps }: Direction): Markup | undefined {
  const costs = costsOf(swaps);
  const longest = lengths.at(-1)!;
  const [first] = pictures;
  if (first === undefined) return undefined;
  const one = (picture: MaskPicture): Markup => {
    const row = rows.find(({ name, length }) => name === picture.mask && length === longest);
    const head = picture.head === null ? '' : `, head ${picture.head + 1}`;
    return card(
      `${picture.mask}${head}`,
      picture.label,
      maskFigure(picture, row && facts(row, swaps && [costOf(costs, row), `${unitOf(swaps)} lost`])),
    );
  };
  const side = first.zoom.pairs.length;
  return markup`<h3>The patterns</h3>
    <p class="note">
      Left: all pairs of ${format.integer(first.length)} positions, queries downwards, keys to the right; the stronger the colour, the more of the pairs; the first and the last head where heads differ. Right: ${side} × ${side} single pairs in the
      middle of the diagonal, where they are not all alike. Numbers are for ${format.integer(longest)} positions.
    </p>
    <div class="masks">${pictures.map(one)}</div>`;
}

function facts(
  { pairsShare, overFlash, error, causal }: CompareRow,
  cost: readonly [value: string | undefined, what: string] | undefined,
): Markup {
  const parts: [string, string][] = [];
  if (pairsShare !== null) parts.push([format.percent(pairsShare), 'of all pairs']);
  if (overFlash !== null) parts.push([format.times(overFlash), 'as fast as flash']);
  if (cost?.[0] !== undefined) parts.push([cost[0], cost[1]]);
  else if (error !== null) parts.push([format.error(error.relative), causal ? 'error, of causal' : 'error']);
  return markup`<p class="facts">${parts.map(([value, what]) => markup`<span><b>${value}</b> ${what}</span>`)}</p>`;
}
