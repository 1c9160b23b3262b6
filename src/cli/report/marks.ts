import { markup, type Markup, px } from './html.js';

/** How a mechanism looks in every chart: a colour of the style sheet and a shape, so that colour alone says nothing. */
export interface Look {
  readonly colour: string;
  readonly shape: number;
}

const COLOURS = 10;
const SHAPES = 5;

/** Standard and exact attention have looks of their own; others take the rest in order. */
export function looks(mechanisms: readonly string[]): ReadonlyMap<string, Look> {
  const others = mechanisms.filter((name) => name !== 'standard' && name !== 'exact');
  const look = (index: number): Look => ({ colour: `c${index}`, shape: index % SHAPES });
  return new Map([
    ['standard', look(0)],
    ['exact', look(1)],
    ...others.map((name, i) => [name, look(2 + (i % (COLOURS - 2)))] as const),
  ]);
}

/** A marker about 8 pixels wide. */
export function marker({ colour, shape }: Look, x: number, y: number, title: string): Markup {
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
