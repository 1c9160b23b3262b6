// Exercise 1: a sliding window as a mask. The chapter's window of 256 is the total: 128 keys on each side, and the query's own.
import { attend, createDevice, scope, tensor, within } from 'subquad';
import { bytes, count, normal, percent, save, say, start, table } from './support.mjs';
import { drawing, grid, text } from './svg.mjs';

const shades = Array.from({ length: 10 }, (_, i) => `hsl(202 100% ${96 - 7 * i}%)`);

/** Weights of the first `sample` queries and keys, `exp(scale · q·k − logsumexp)`: no n×n matrix is ever built. */
function weights({ q, k, logsumexp, d, sample, allowed }) {
  return Array.from({ length: sample }, (_, i) =>
    Array.from({ length: sample }, (_unused, j) => {
      if (!allowed(i, j)) return 0;
      let dot = 0;
      for (let c = 0; c < d; c++) dot += q[i * d + c] * k[j * d + c];
      return Math.exp(dot / Math.sqrt(d) - logsumexp[i]);
    }),
  );
}

/** The mean weight of cells of `side` × `side` pairs, as marks 0 (none) to 9 (the largest), by the square root. */
function shaded(rows, side) {
  const cells = Array.from({ length: rows.length / side }, (_, y) =>
    Array.from({ length: rows.length / side }, (_unused, x) => {
      let sum = 0;
      for (let i = 0; i < side; i++) for (let j = 0; j < side; j++) sum += rows[y * side + i][x * side + j];
      return sum;
    }),
  );
  const most = Math.max(...cells.flat());
  return cells.map((row) => row.map((cell) => (cell === 0 ? -1 : Math.floor(9 * Math.sqrt(cell / most)))));
}

export async function main({ folder, n = 1024, window = 256, d = 64, sample = 256 }) {
  const radius = window / 2;
  const device = await createDevice();
  const [q, k, v] = [1, 2, 3].map((seed) => normal(seed, n * d));
  const run = async (options) => {
    const { out, logsumexp, counters } = scope(() => {
      const [a, b, c] = [q, k, v].map((values) => tensor(values, [1, 1, n, d], { device }));
      return attend(a, b, c, options);
    });
    const result = { logsumexp: await logsumexp.data(), pairs: counters.pairsNeeded, visited: counters.pairsVisited };
    out.dispose();
    logsumexp.dispose();
    return result;
  };
  const full = await run({});
  const windowed = await run({ mask: within({ radius }) });
  await device.dispose();

  const row = (name, { pairs, visited }) => [
    name,
    count(pairs),
    percent(pairs / n ** 2),
    count(2 * pairs * d),
    bytes(4 * pairs),
    count(visited),
  ];
  say(`n = ${n}, window of ${window} in total (${radius} on each side), d = ${d}`, '');
  table(
    ['', 'pairs', 'density', 'multiply-adds', 'as a matrix', 'pairs computed'],
    [row('full attention', full), row(`within({ radius: ${radius} })`, windowed)],
  );
  say(
    `The chapter's ${count(n * window)} pairs are n·w: they leave out the query's own key and count the windows at both ends whole.`,
    `Exactly it is n(2r + 1) − r(r + 1) = ${count(windowed.pairs)}. And w/n is the density; the sparsity is 1 − w/n.`,
    '',
  );

  const shared = { q, k, d, sample };
  const maps = [
    weights({ ...shared, logsumexp: full.logsumexp, allowed: () => true }),
    weights({ ...shared, logsumexp: windowed.logsumexp, allowed: (i, j) => Math.abs(i - j) <= radius }),
  ];
  // the mask of all positions, in single pairs where they fit
  const step = Math.ceil(n / 256);
  const whole = Array.from({ length: Math.floor(n / step) }, (_, i) =>
    Array.from({ length: Math.floor(n / step) }, (_unused, j) => (Math.abs(i - j) * step <= radius ? 0 : -1)),
  );
  const panel = (rows, fills, x, title) =>
    text(x, 30, title) +
    grid(rows, fills, { x, y: 40, size: 300, label: `${title}; queries downwards, keys to the right` });
  const cells = (rows) => shaded(rows, Math.max(1, sample / 64));
  const body = [
    panel(whole, ['#0072b2'], 20, `the mask, ${n} positions: ${count(windowed.pairs)} pairs`),
    panel(cells(maps[0]), shades, 350, `weights of full attention, first ${sample}`),
    panel(cells(maps[1]), shades, 680, `weights in the window, first ${sample}`),
    text(20, 362, 'Queries downwards, keys to the right; weights are shaded by their square root.', { size: 12 }),
  ].join('\n');
  const picture = save(folder, 'window-mask.svg', drawing(1000, 376, 'A window: its mask and its weights', body));
  const sums = windowed.logsumexp.every(Number.isFinite);
  return {
    pairs: windowed.pairs,
    fullPairs: full.pairs,
    visited: windowed.visited,
    weights: maps,
    finite: sums,
    picture,
  };
}

await start(import.meta.url, main);
