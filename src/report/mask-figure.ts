import type { MaskPicture } from '../studies/picture.js';
import { markup, type Markup, stroke } from './html.js';

/** Runs of equal marks in lines of characters, as one path per mark; empty ones ('0') are left out. */
function paths(lines: readonly string[]): ReadonlyMap<string, string> {
  const out = new Map<string, string>();
  lines.forEach((line, y) => {
    for (let x = 0; x < line.length;) {
      const mark = line[x]!;
      let end = x + 1;
      while (line[end] === mark) end++;
      if (mark !== '0') out.set(mark, `${out.get(mark) ?? ''}M${x} ${y}h${end - x}v1h-${end - x}z`);
      x = end;
    }
  });
  return out;
}

function grid(lines: readonly string[], title: string): Markup {
  const marks = [...paths(lines)].map(([mark, d]) => stroke(`d${mark}`, d));
  return markup`<svg
    viewBox="0 0 ${lines[0]!.length} ${lines.length}"
    role="img"
    aria-label="${title}"
    shape-rendering="crispEdges"
  >
    ${marks}
  </svg>`;
}

/** A mask over its whole length, and, unless they are all alike, single pairs around the middle of its diagonal. */
export function maskFigure({ label, length, cells, zoom }: MaskPicture, facts: Markup | undefined): Markup {
  const first = zoom.pairs[0]![0]!;
  const uniform = zoom.pairs.every((line) => [...line].every((pair) => pair === first));
  const single = zoom.pairs.map((line) => line.replaceAll('1', '9'));
  const range = `${zoom.first} to ${zoom.first + single.length - 1}`;
  const whole = grid(cells, `${label}: pairs allowed among ${length} positions`);
  const part = uniform ? undefined : markup`<div>${grid(single, `${label}: single pairs, positions ${range}`)}</div>`;
  return markup`<div class="mask">
    ${whole}
    <div class="side">${facts}${part}</div>
  </div>`;
}
