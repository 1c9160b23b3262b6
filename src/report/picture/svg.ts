import type { Grid } from './grid.js';

const ink = [29, 78, 137] as const;

/** The colour of a shade, from white to blue. */
export const colour = (shade: number): readonly [number, number, number] =>
  ink.map((channel) => Math.round(255 + (channel - 255) * shade)) as unknown as readonly [number, number, number];

const escape = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

/** The picture as an SVG file with its title; equal neighbours in a row are one rectangle. */
export function svg({ rows, columns, shades }: Grid, title: string, caption: string): string {
  const cell = Math.max(1, Math.floor(512 / Math.max(rows, columns)));
  const [left, top] = [16, 44];
  const [width, height] = [cell * columns + 2 * left, cell * rows + top + 16];
  const rectangles: string[] = [];
  for (let row = 0; row < rows; row++) {
    let start = 0;
    for (let column = 1; column <= columns; column++) {
      const shade = shades[row * columns + start]!;
      if (column < columns && shades[row * columns + column] === shade) continue;
      if (shade > 0) {
        const place = `x="${left + start * cell}" y="${top + row * cell}" width="${(column - start) * cell}" height="${cell}"`;
        rectangles.push(`<rect ${place} fill="rgb(${colour(shade).join(',')})"/>`);
      }
      start = column;
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" role="img">
<title>${escape(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="${left}" y="20" font-size="14" font-weight="600" fill="#1a1a1a">${escape(title)}</text>
<text x="${left}" y="36" font-size="11" fill="#555">${escape(caption)}</text>
<g shape-rendering="crispEdges">
${rectangles.join('\n')}
</g>
<rect x="${left - 0.5}" y="${top - 0.5}" width="${cell * columns + 1}" height="${cell * rows + 1}" fill="none" stroke="#999"/>
</svg>
`;
}
