import type { Grid } from './grid.js';
import { escape, markedLines, type MarkedText } from './marked-text.js';

const ink = [29, 78, 137] as const;

/** The colour of a shade, from white to blue. */
export const colour = (shade: number): readonly [number, number, number] =>
  ink.map((channel) => Math.round(255 + (channel - 255) * shade)) as unknown as readonly [number, number, number];

/** A grid with a few words above it. */
export interface Panel {
  readonly grid: Grid;
  readonly title: string;
}

/** Pixels of a side, and left of what is drawn. */
const [SIDE, LEFT] = [512, 16];
const GAP = 24;

/** The pictures side by side, and below them a text, as an SVG file with its title; equal neighbours in a row are one rectangle. */
export function svg(panels: readonly Panel[], title: string, caption: string, text?: MarkedText): string {
  const cell = Math.max(1, ...panels.map(({ grid: { rows, columns } }) => Math.floor(SIDE / Math.max(rows, columns))));
  // one picture needs no words of its own
  const top = panels.length > 1 ? 62 : 44;
  const parts: string[] = [];
  let [left, bottom] = [LEFT, top];
  for (const { grid, title: words } of panels) {
    const [width, height] = [cell * grid.columns, cell * grid.rows];
    if (panels.length > 1)
      parts.push(`<text x="${left}" y="${top - 8}" font-size="11" fill="#1a1a1a">${escape(words)}</text>`);
    parts.push(
      `<g shape-rendering="crispEdges">\n${rectangles(grid, cell, left, top).join('\n')}\n</g>`,
      `<rect x="${left - 0.5}" y="${top - 0.5}" width="${width + 1}" height="${height + 1}" fill="none" stroke="#999"/>`,
    );
    left += width + GAP;
    bottom = Math.max(bottom, top + height);
  }
  const lines = text === undefined ? undefined : markedLines(text, LEFT, bottom + GAP);
  if (lines) parts.push(...lines.parts);
  const width = Math.max(left - GAP, lines?.right ?? 0) + LEFT;
  const height = (lines?.bottom ?? bottom) + 16;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" role="img">
<title>${escape(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="${LEFT}" y="20" font-size="14" font-weight="600" fill="#1a1a1a">${escape(title)}</text>
<text x="${LEFT}" y="36" font-size="11" fill="#555">${escape(caption)}</text>
${parts.join('\n')}
</svg>
`;
}

function rectangles({ rows, columns, shades }: Grid, cell: number, left: number, top: number): string[] {
  const found: string[] = [];
  for (let row = 0; row < rows; row++) {
    let start = 0;
    for (let column = 1; column <= columns; column++) {
      const shade = shades[row * columns + start]!;
      if (column < columns && shades[row * columns + column] === shade) continue;
      if (shade > 0) {
        const place = `x="${left + start * cell}" y="${top + row * cell}" width="${(column - start) * cell}" height="${cell}"`;
        found.push(`<rect ${place} fill="rgb(${colour(shade).join(',')})"/>`);
      }
      start = column;
    }
  }
  return found;
}
