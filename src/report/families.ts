import type { Compared, CompareRow } from '../studies/compare.js';
import type { Looking } from '../studies/looking.js';
import type { MaskPicture } from '../studies/picture.js';
import type { Direction } from './choice.js';
import { costOf, costsOf, unitOf } from './costs.js';
import * as format from './format.js';
import { markup, type Markup } from './html.js';
import { swatch } from './marks.js';
import { maskFigure } from './mask-figure.js';

/** A part for each family: what its mechanisms are, which pairs they take, and where a byte of the text looks by each. */
export function families(directions: readonly Direction[]): Markup {
  const compared = new Map<string, Compared>(
    directions.flatMap(({ comparison }) => comparison.mechanisms.map((one) => [one.name, one])),
  );
  const names = [...new Set([...compared.values()].map(({ family }) => family))];
  const [shown] = directions.flatMap(({ looking }) => looking ?? []);
  const [picture] = directions.flatMap(({ comparison }) => comparison.pictures);
  return markup`<h2>The families, on this text</h2>
    <p class="note">
      ${picture === undefined ? '' : `Squares: all pairs of ${format.integer(picture.length)} positions, queries downwards, keys to the right; the stronger the colour, the more of the pairs; beside them single pairs in the middle of the diagonal, where they are not all alike. `}${shown === undefined ? '' : `Text: its first ${format.integer(shown.text.length)} bytes; the darker, the more of its weight the framed byte puts there, in the first head of the layer.`}
    </p>
    ${names.map(
      (family) =>
        markup`<details class="family"${family === names.find((one) => one === 'patterns') ? markup` open=""` : undefined}>
          <summary>${swatch(family)}${family}</summary>
          ${[...compared.values()].filter((one) => one.family === family).map((one) => mechanismPart(one, directions))}
        </details>`,
    )}`;
}

function mechanismPart({ name, summary, complexity, paper }: Compared, directions: readonly Direction[]): Markup {
  const pictures = pictureOf(name, directions);
  const facts = directions.flatMap((direction) => factsOf(name, direction));
  const { authors, year, arxiv } = paper;
  return markup`<section class="card member">
    <h3><code>${name}</code></h3>
    <p class="caption">
      ${summary} Cost ${complexity}; ${authors} ${year}${arxiv === undefined ? '' : `, arXiv ${arxiv}`}.
    </p>
    ${facts.length > 0 || pictures.length > 0 ? markup`<div class="masks">${pictures.map((one) => maskFigure(one, undefined))}<div>${facts}</div></div>` : undefined}
    ${directions.map(({ looking }) => looking && text(name, looking, directions.length > 1))}
  </section> `;
}

/** The pattern, over all pairs where there is one. */
function pictureOf(name: string, directions: readonly Direction[]): readonly MaskPicture[] {
  const found = [...directions]
    .reverse()
    .map(({ comparison }) => comparison.pictures.filter(({ mask }) => mask === name));
  return found.find((own) => own.length > 0) ?? [];
}

/** At the longest length. */
function factsOf(name: string, { comparison, swaps }: Direction): Markup[] {
  const { rows, lengths, causal } = comparison;
  const longest = lengths.at(-1)!;
  const row = rows.find((one) => one.name === name && one.length === longest);
  if (row === undefined) return [];
  return [
    markup`<p class="facts">
      <span>${causal ? 'causal' : 'all pairs'}, ${format.integer(longest)} positions</span>
      ${numbers(row, swaps).map(([value, what]) => markup`<span><b>${value}</b> ${what}</span>`)}
    </p>`,
  ];
}

function numbers(row: CompareRow, swaps: Direction['swaps']): [string, string][] {
  const { pairsShare, overFlash, workspaceBytes } = row;
  const cost = swaps && costOf(costsOf(swaps), row);
  const parts: [string, string][] = [];
  if (pairsShare !== null) parts.push([format.percent(pairsShare), 'of all pairs']);
  if (overFlash !== null) parts.push([format.times(overFlash), 'as fast as flash']);
  if (workspaceBytes !== null) parts.push([format.bytes(workspaceBytes), 'of workspace']);
  if (cost !== undefined) parts.push([cost, `${unitOf(swaps!)} lost`]);
  return parts;
}

const SHADES = 9;

/** The text, each stretch as dark as its weight; equal neighbours are one piece. */
function text(name: string, { causal, text: all, query, stretch, looks }: Looking, both: boolean): Markup | undefined {
  const weights = looks.find((look) => look.name === name)?.weights;
  if (weights === undefined) return undefined;
  const most = Math.max(...weights.map(Math.abs)) || 1;
  // a root, so that small weights are seen beside large ones
  const shades = weights.map((weight) => Math.ceil(SHADES * Math.sqrt(Math.abs(weight) / most)));
  const pieces: Markup[] = [];
  for (let at = 0; at < all.length;) {
    const shade = shades[Math.floor(at / stretch)]!;
    let end = at + 1;
    while (end < all.length && end !== query && shades[Math.floor(end / stretch)] === shade) end++;
    if (at === query) end = at + 1;
    const part = all.slice(at, end);
    if (at === query) pieces.push(markup`<mark>${part}</mark>`);
    else pieces.push(shade === 0 ? markup`${part}` : markup`<span class="w${shade}">${part}</span>`);
    at = end;
  }
  return markup`<p class="looks">${both ? markup`<b>${causal ? 'causal' : 'all pairs'}</b> ` : undefined}${pieces}</p>`;
}
