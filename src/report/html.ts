/** Text that is markup already. */
export class Markup {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}

type Part = string | number | Markup | undefined | readonly Part[];

function render(part: Part): string {
  if (part === undefined) return '';
  if (part instanceof Markup) return part.text;
  if (typeof part === 'object') return part.map(render).join('');
  return escape(String(part));
}

function escape(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  // control characters have no place in a page
  // oxlint-disable-next-line no-control-regex -- they are what is removed
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '').replace(/[&<>"']/g, (c) => names[c]!);
}

/** Markup with every inserted text escaped; lists are joined, undefined is left out. */
export function markup(strings: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new Markup(strings.map((text, i) => text + (i < parts.length ? render(parts[i]) : '')).join(''));
}

/** A coordinate with one decimal at most. */
export const px = (value: number): string => String(Math.round(value * 10) / 10);

type Anchor = 'start' | 'middle' | 'end';

/** A line of text in a drawing. */
export const label = (style: string, x: number, y: number, text: string, anchor: Anchor = 'start'): Markup =>
  markup`<text class="${style}" text-anchor="${anchor}" x="${px(x)}" y="${px(y)}">${text}</text>`;

/** A path in a drawing. */
export const stroke = (style: string, d: string): Markup => markup`<path class="${style}" d="${d}"/>`;
