const escape = (text) => String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const px = (number) => Number(number.toFixed(2));

// told apart by most colour-blind readers (Okabe and Ito)
export const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', '#999999'];

/** A drawing of the given size; `title` says what it shows. */
export function drawing(width, height, title, body) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" font-family="sans-serif" font-size="13">
<title>${escape(title)}</title>
<rect width="${width}" height="${height}" fill="#fff"/>
${body}
</svg>
`;
}

export const text = (x, y, content, { anchor = 'start', size = 13, fill = '#222' } = {}) =>
  `<text x="${px(x)}" y="${px(y)}" text-anchor="${anchor}" font-size="${size}" fill="${fill}">${escape(content)}</text>`;

/**
 * A square of cells: `rows` hold a mark per cell, `fills` the colour of each mark; cells whose mark has none stay empty. Runs of
 * equal cells are one rectangle.
 */
export function grid(rows, fills, { x, y, size, label }) {
  const paths = new Map();
  rows.forEach((row, line) => {
    for (let from = 0; from < row.length;) {
      let to = from + 1;
      while (row[to] === row[from]) to++;
      const run = `M${from} ${line}h${to - from}v1h${from - to}z`;
      if (fills[row[from]] !== undefined) paths.set(row[from], `${paths.get(row[from]) ?? ''}${run}`);
      from = to;
    }
  });
  const cells = [...paths].map(([mark, d]) => `<path fill="${fills[mark]}" d="${d}"/>`).join('\n');
  return `<g aria-label="${escape(label)}" shape-rendering="crispEdges" transform="translate(${x} ${y}) scale(${px(size / rows.length)})">
${cells}
</g>
<rect x="${x}" y="${y}" width="${size}" height="${size}" fill="none" stroke="#888"/>`;
}

/** Powers of the base that enclose the values. */
function powers(values, base) {
  const exponents = values.filter((value) => value > 0).map((value) => Math.log(value) / Math.log(base));
  const [low, high] = [Math.floor(Math.min(...exponents) + 1e-9), Math.ceil(Math.max(...exponents) - 1e-9)];
  return Array.from({ length: Math.max(high, low + 1) - low + 1 }, (_, i) => base ** (low + i));
}

/**
 * Lines over two logarithmic axes. A series has a name and `points` `[x, y]`; with `dashed` it is a level or a claim, not a
 * measurement.
 */
export function logChart({ title, xTitle, yTitle, series, showX = String, showY = String }) {
  const [width, height] = [760, 460];
  const box = { left: 84, right: 490, top: 44, bottom: 404 };
  const all = series.flatMap(({ points }) => points);
  const xTicks = powers(
    all.map(([x]) => x),
    2,
  );
  const yTicks = powers(
    all.map(([, y]) => y),
    10,
  );
  const place = (ticks, from, to) => (value) =>
    from + ((Math.log(value) - Math.log(ticks[0])) / (Math.log(ticks.at(-1)) - Math.log(ticks[0]))) * (to - from);
  const [x, y] = [place(xTicks, box.left, box.right), place(yTicks, box.bottom, box.top)];
  const parts = [text(box.left, 24, title, { size: 15 })];
  for (const tick of yTicks) {
    parts.push(`<path stroke="#ddd" d="M${box.left} ${px(y(tick))}H${box.right}"/>`);
    parts.push(text(box.left - 8, y(tick) + 4, showY(tick), { anchor: 'end' }));
  }
  for (const tick of xTicks) {
    parts.push(`<path stroke="#ddd" d="M${px(x(tick))} ${box.top}V${box.bottom}"/>`);
    parts.push(text(x(tick), box.bottom + 18, showX(tick), { anchor: 'middle' }));
  }
  parts.push(text((box.left + box.right) / 2, box.bottom + 40, xTitle, { anchor: 'middle' }));
  parts.push(
    `<g transform="translate(16 ${(box.top + box.bottom) / 2}) rotate(-90)">${text(0, 0, yTitle, { anchor: 'middle' })}</g>`,
  );
  series.forEach(({ name, points, dashed }, i) => {
    const colour = colours[i % colours.length];
    const line = points.map(([a, b], at) => `${at === 0 ? 'M' : 'L'}${px(x(a))} ${px(y(b))}`).join('');
    parts.push(
      `<path fill="none" stroke="${colour}" stroke-width="2"${dashed ? ' stroke-dasharray="6 4"' : ''} d="${line}"/>`,
    );
    if (!dashed)
      parts.push(...points.map(([a, b]) => `<circle cx="${px(x(a))}" cy="${px(y(b))}" r="3.5" fill="${colour}"/>`));
    const at = box.top + 8 + 22 * i;
    parts.push(
      `<path stroke="${colour}" stroke-width="2"${dashed ? ' stroke-dasharray="6 4"' : ''} d="M${box.right + 16} ${at}h24"/>`,
    );
    parts.push(text(box.right + 46, at + 4, name, { size: 12 }));
  });
  return drawing(width, height, title, parts.join('\n'));
}
