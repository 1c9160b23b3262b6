import { markup, type Markup, px } from './html.js';

/** How a mechanism looks in every chart: a colour of the style sheet, a shape and a dash, so that colour alone says nothing. */
export interface Look {
  readonly colour: string;
  readonly shape: number;
  readonly dash: number;
}

const families = ['standard', 'exact', 'patterns', 'low-rank', 'kernel-methods', 'hashing', 'mixers'];
const shapes = 5;
const dashes = 3;

/** The colour of a family; standard attention, which is not a family, has one of its own. */
const familyColour = (family: string): string => `c${Math.max(0, families.indexOf(family))}`;

/** Colours by family; within a family shapes and dashes in order. */
export function looks(rows: readonly { readonly name: string; readonly mechanism: string; readonly family: string }[]) {
  const counts = new Map<string, number>();
  const out = new Map<string, Look>();
  for (const { name, mechanism, family } of rows) {
    if (out.has(name)) continue;
    const group = mechanism === 'standard' ? mechanism : family;
    const index = counts.get(group) ?? 0;
    counts.set(group, index + 1);
    out.set(name, { colour: familyColour(group), shape: index % shapes, dash: index % dashes });
  }
  return out;
}

/** The families in the charts and their colours. */
export function legend(rows: readonly { readonly mechanism: string; readonly family: string }[]): Markup {
  const groups = new Set(rows.map(({ mechanism, family }) => (mechanism === 'standard' ? mechanism : family)));
  const entries = families.filter((family) => groups.has(family));
  return markup`<p class="legend">
    ${entries.map((family) => markup`<span>${swatch(family)}${family}</span>`)}
  </p>`;
}

/** A dot in the colour of a family. */
export const swatch = (family: string): Markup => markup`<i class="dot ${familyColour(family)}"></i>`;

/** A marker about 8 pixels wide. */
export function marker({ colour, shape }: Pick<Look, 'colour' | 'shape'>, x: number, y: number, title: string): Markup {
  const paths = [
    'M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0',
    'M-3.6-3.6h7.2v7.2h-7.2z',
    'M0-4.8L4.5 3.4h-9z',
    'M0-5L5 0L0 5L-5 0z',
    'M0 4.8L4.5-3.4h-9z',
  ];
  const place = `translate(${px(x)} ${px(y)})`;
  return markup`<path class="mark ${colour}" transform="${place}" d="${paths[shape]}"><title>${title}</title></path>`;
}
