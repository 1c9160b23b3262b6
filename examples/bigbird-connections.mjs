// Exercise 4: how many connections BigBird has. The chapter counts tokens; the published model counts blocks of 64 tokens.
import { createDevice, global as globalTokens, mechanism, scope, tensor, within, zeros } from 'subquad';
import { countPairs } from 'subquad/masks';
import { bytes, count, percent, save, say, start, table } from './support.mjs';
import { colours, drawing, grid, text } from './svg.mjs';

const kinds = ['window', 'global', 'random'];

/**
 * Which blocks see which, and why: −1, or a place in `kinds`. One token stands for a block, and values that are rows of the
 * identity make the output the weights themselves.
 */
async function blockMap(bigbird, blocks, options) {
  const device = await createDevice();
  const out = scope(() => {
    const equal = zeros([1, 1, blocks, 1], { device });
    const identity = Float32Array.from({ length: blocks ** 2 }, (_, i) => (i % (blocks + 1) === 0 ? 1 : 0));
    return bigbird.run(equal, equal, tensor(identity, [1, 1, blocks, blocks], { device }), { ...options, blockSize: 1 })
      .out;
  });
  const weights = await out.data();
  out.dispose();
  await device.dispose();
  const kindOf = (query, key) => {
    if (weights[query * blocks + key] === 0) return -1;
    if (Math.abs(query - key) <= 1) return 0;
    return [query, key].some((block) => block === 0 || block === blocks - 1) ? 1 : 2;
  };
  return Array.from({ length: blocks }, (_, query) =>
    Array.from({ length: blocks }, (_unused, key) => kindOf(query, key)),
  );
}

export async function main({ folder, n = 4096, blockSize = 64, seed = 0 }) {
  // ---- the published model: 3 blocks of window, 3 random, 2 global
  const bigbird = mechanism('bigbird');
  const shape = { B: 1, H: 1, G: 1, L: n, S: n, D: 64, E: 64 };
  const options = {
    blockSize,
    numWindowBlocks: 3,
    numRandomBlocks: 3,
    numGlobalBlocks: 2,
    shortSequences: 'sparse',
    seed,
  };
  const pattern = bigbird.pattern(shape, options);
  const pairs = countPairs(pattern, shape);
  const blocks = Math.ceil(n / blockSize);
  const map = await blockMap(bigbird, blocks, options);
  const ofKind = kinds.map((_, kind) => map.flat().filter((one) => one === kind).length);

  // ---- the exercise: window of 256 tokens in total, 64 random and 32 global ones
  const [window, random, globals] = [256, 64, 32];
  const reading = (n - globals) * (window + random + globals) + globals * n;
  const certain = within({ radius: window / 2 }).or(globalTokens(Array.from({ length: globals }, (_, i) => i)));
  const exact = countPairs(certain, shape) + (n - globals) * random;

  say(`n = ${n}: ${blocks} blocks of ${blockSize}`, '');
  table(
    ['block pairs', 'number', 'pairs of tokens'],
    [
      ...kinds.map((kind, i) => [kind, count(ofKind[i]), count(ofKind[i] * blockSize ** 2)]),
      ['all', count(ofKind.reduce((a, b) => a + b, 0)), count(pairs)],
    ],
  );
  const row = (name, own) => [name, count(own), percent(own / n ** 2), percent(1 - own / n ** 2), bytes(4 * own)];
  table(
    ['', 'pairs', 'density', 'sparsity', 'as a matrix'],
    [
      row('full attention', n ** 2),
      row('BigBird as published', pairs),
      row('exercise, the chapter’s total', 1690624),
      row('exercise, its own reading', reading),
      row('exercise, counted', exact),
    ],
  );
  say(
    'The chapter’s total adds (n − g)·g incoming connections, although its 352 keys a query already hold the 32 global ones.',
    'Counted: window of 128 keys on each side and the query’s own, cut off at the ends; 32 global tokens; 64 random keys',
    'that are not seen anyway. The published model is larger: 512 keys for most queries.',
    '',
  );
  const size = 448;
  const legend = kinds
    .map((kind, i) => {
      const y = 60 + 24 * i;
      return `<rect x="490" y="${y - 11}" width="14" height="14" fill="${colours[i]}"/>${text(512, y, `${kind}: ${count(ofKind[i])} blocks`)}`;
    })
    .join('\n');
  const picture = save(
    folder,
    'bigbird-connections.svg',
    drawing(
      680,
      500,
      'Blocks that BigBird connects',
      [
        text(
          20,
          26,
          `BigBird, ${n} tokens in blocks of ${blockSize}: ${count(pairs)} pairs, ${percent(pairs / n ** 2)}`,
          { size: 15 },
        ),
        grid(map, colours.slice(0, 3), { x: 20, y: 40, size, label: 'queries downwards, keys to the right' }),
        legend,
        text(490, 150, 'queries downwards, keys to the right', { size: 11 }),
      ].join('\n'),
    ),
  );
  return { pairs, cost: bigbird.cost(shape, options).pairs, reading, exact, map, ofKind, picture };
}

await start(import.meta.url, main);
