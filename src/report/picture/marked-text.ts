export const escape = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

/** Characters of a text, each with its group, or −1, and whether it is marked. */
export interface MarkedText {
  readonly characters: readonly { readonly text: string; readonly group: number; readonly marked: boolean }[];
  /** What colours and marks mean. */
  readonly legend: string;
}

/** Characters of a line, and pixels of one. */
const [COLUMNS, WIDTH, HEIGHT] = [130, 8, 20];

/** A light colour for each group; those of neighbours in number are far apart. */
const light = (group: number): string => `hsl(${Math.round((group * 137.508) % 360)},70%,84%)`;

/** Elements of an SVG: the text in lines, groups as the colour behind it, marks as a line below it. */
export function markedLines(
  { characters, legend }: MarkedText,
  left: number,
  top: number,
): { readonly parts: readonly string[]; readonly right: number; readonly bottom: number } {
  const parts = [`<text x="${left}" y="${top}" font-size="11" fill="#1a1a1a">${escape(legend)}</text>`];
  let y = top + 10;
  for (let start = 0; start < characters.length; start += COLUMNS, y += HEIGHT) {
    const line = characters.slice(start, start + COLUMNS);
    line.forEach(({ group, marked }, column) => {
      const place = `x="${left + column * WIDTH}" width="${WIDTH}"`;
      if (group >= 0) parts.push(`<rect ${place} y="${y}" height="${HEIGHT - 3}" fill="${light(group)}"/>`);
      if (marked) parts.push(`<rect ${place} y="${y + HEIGHT - 5}" height="2" fill="#b3261e"/>`);
    });
    const text = line.map((one) => one.text).join('');
    parts.push(
      `<text x="${left}" y="${y + 13}" font-size="13" font-family="ui-monospace, monospace" style="white-space:pre" textLength="${WIDTH * line.length}" fill="#1a1a1a">${escape(text)}</text>`,
    );
  }
  return { parts, right: left + COLUMNS * WIDTH, bottom: y };
}
