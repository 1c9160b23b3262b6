// Exercise 2: memory and arithmetic of attention, the chapter's numbers beside the exact ones.
import { attend, createDevice, scope, tensor, within } from 'subquad';
import { countPairs, global } from 'subquad/masks';
import { bytes, count, normal, percent, save, say, start, table } from './support.mjs';
import { logChart } from './svg.mjs';

const [heads, layers, width] = [12, 12, 768];
const scores = (n) => 4 * n ** 2;
const pairsOf = (mask, n) => countPairs(mask, { B: 1, H: 1, G: 1, L: n, S: n });

/** What the chapter says, what holds, and why they differ: each row is [quantity, chapter, exact, note]. */
export function comparison() {
  const n = 4096;
  const qkv = 3 * n * width * 4;
  const window = pairsOf(within({ radius: 256 }), n);
  const longformer = pairsOf(within({ radius: 512 }).or(global([0, 1])), n);
  const multiplyAdds = 2 * n ** 2 * width;
  const bigbird = (n - 32) * 352 + 32 * n;
  const holds = [512, 1024, 2048, 4096, 8192, 16384].map((length, i) => [
    `scores of one head, n = ${length}`,
    ['1.05 MB', '4.2 MB', '16.8 MB', '67.1 MB', '268 MB', '1074 MB'][i],
    bytes(scores(length)),
    'holds',
  ]);
  return [
    ...holds,
    ['scores of 12 heads, n = 4096', '804 MB', bytes(heads * scores(n)), '67 MB was rounded first'],
    ['the same in 12 layers', '9.6 GB', bytes(layers * heads * scores(n)), 'rounded'],
    [
      '12 heads, 12 layers, n = 8192',
      '38.6 GB',
      bytes(layers * heads * scores(8192)),
      'does not exceed an A100’s 40 GB',
    ],
    ['12 heads, 12 layers, n = 16384', '151 GB', bytes(layers * heads * scores(16384)), '1074 MB · 144'],
    [
      'batch 8, 12 layers, n = 4096',
      '6.4 GB',
      bytes(8 * layers * heads * scores(n)),
      'the chapter leaves out the heads',
    ],
    ['q, k, v of width 768, n = 4096', '37.7 MB', bytes(qkv), 'holds'],
    ['with the scores', '104.8 MB', bytes(qkv + scores(n)), 'for one head; 37.7 and 67.1 were rounded first'],
    ['with the scores of 12 heads', '104.8 MB', bytes(qkv + heads * scores(n)), 'd = 768 is not one head'],
    ['full attention', '25.8 G', count(multiplyAdds), 'multiply-adds, not FLOPs; twice as many FLOPs'],
    [
      'Linformer, k = 256',
      '3.2 G',
      count(4 * n * 256 * width),
      'holds: 8.0 times fewer (5.4 in the text leaves out half)',
    ],
    ['window of 512, as n·w', '3.2 G', count(2 * n * 512 * width), 'without the query’s own key, with whole windows'],
    ['window of 512, exactly', '3.2 G', count(2 * window * width), `${count(window)} pairs`],
    ['arithmetic saved by n·w', '87.6 %', percent(1 - 512 / n), '3.2 and 25.8 were rounded first'],
    ['memory saved by n·w', '56.0 %', percent(1 - (qkv + 4 * n * 512) / (qkv + scores(n))), 'holds for one head'],
    [
      'Longformer, 512 per side, 2 global',
      '4,208,636',
      count(longformer),
      'pairs: own key, ends and globals counted once',
    ],
    ['BigBird with 352 keys a query', '1,690,624', count(bigbird), 'pairs: 352 already holds the 32 global keys'],
  ];
}

/** The peak of the ledger during forward attention of all heads, in bytes, and in parts. */
async function measured(n, options = {}) {
  const device = await createDevice();
  const d = width / heads;
  const before = device.ledger.mark();
  const { out, logsumexp } = scope(() => {
    const [q, k, v] = [1, 2, 3].map((seed) => tensor(normal(seed, heads * n * d), [1, heads, n, d], { device }));
    return attend(q, k, v, options);
  });
  await out.data();
  const peak = device.ledger.peak - before;
  out.dispose();
  logsumexp.dispose();
  await device.dispose();
  return peak;
}

export async function main({ folder, lengths = [512, 1024, 2048, 4096] }) {
  const rows = comparison();
  table(['quantity', 'chapter', 'exactly', 'why'], rows);
  const peaks = [];
  for (const n of lengths) peaks.push([n, await measured(n)]);
  table(
    ['one layer, 12 heads of 64', 'scores as matrices', 'peak here, measured'],
    peaks.map(([n, peak]) => [`n = ${n}`, bytes(heads * scores(n)), bytes(peak)]),
  );
  say('The peak holds q, k, v, the output and one number per row: it grows with n, not with n².', '');
  const all = [512, 1024, 2048, 4096, 8192, 16384];
  const picture = save(
    folder,
    'cost-table.svg',
    logChart({
      title: 'Memory of attention, 12 heads of 64, f32',
      xTitle: 'length n',
      yTitle: 'bytes',
      showY: (value) => (value >= 1e9 ? `${value / 1e9} GB` : `${value / 1e6} MB`),
      series: [
        { name: 'scores, 12 layers', points: all.map((n) => [n, layers * heads * scores(n)]), dashed: true },
        { name: 'scores, one layer', points: all.map((n) => [n, heads * scores(n)]), dashed: true },
        { name: 'scores, one head', points: all.map((n) => [n, scores(n)]), dashed: true },
        { name: 'one layer here, measured', points: peaks },
      ],
    }),
  );
  return { rows, peaks, picture };
}

await start(import.meta.url, main);
