import { expect, test } from 'vitest';
import { clustered } from '../../../src/attention/hashing/index.js';
import { meanQueries } from '../../../src/attention/hashing/query-clusters.js';
import { groupTiles, tilesOf } from '../../../src/attention/hashing/group-tiles.js';
import { attend, gatherRows } from '../../../src/ops/index.js';
import { disposeAll, scope, tensor, type Tensor } from '../../../src/tensor/index.js';
import { gate } from '../../contract/gate/index.js';
import { clusteredFormula, draw, small } from '../../oracles/clustered.js';
import { onEveryDevice } from '../../support/devices.js';
import { generator } from '../../support/random.js';

gate(clustered, {
  oracle: clusteredFormula,
  options: [small],
  draw,
  exactWhen: [{ options: { numClusters: 17, bits: 48 } }],
  refused: [{ options: { numClusters: 18 } }],
});

onEveryDevice((on) => {
  test('six tokens by hand: clusters of three', async () => {
    const fill = (shape: readonly number[], f: (i: number) => number): Tensor =>
      tensor(
        Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => f(i)),
        shape,
        { device: on.device },
      );
    const q = fill([1, 1, 6, 4], (i) => Math.sin(1 + i));
    const k = fill([1, 1, 6, 4], (i) => Math.cos(2 + i));
    const v = fill([1, 1, 6, 3], (i) => Math.sin(3 + 0.5 * i));
    const halves = tensor(Int32Array.of(0, 0, 0, 1, 1, 1), [1, 1, 6], { device: on.device });
    const out = scope(() => {
      const options = { numClusters: 2, bits: 1, iterations: 1, hashBias: false };
      const shape = { B: 1, H: 1, G: 1, L: 6, S: 6, D: 4, E: 3 };
      const parameters = { planes: q, offsets: q, starts: q, spares: q };
      return gatherRows(
        attend(meanQueries({ q, shape, lengths: undefined, options, parameters }, halves), k, v).out,
        halves,
      );
    });
    const rows = Array.from(await out.data(), (x) => Math.round(1e6 * x) / 1e6);
    expect(rows.slice(0, 3)).toEqual([-0.094601, -0.193114, -0.244345]);
    expect(rows.slice(15)).toEqual([-0.103715, -0.200615, -0.248398]);
    disposeAll([q, k, v, halves, out]);
  });

  test.each([
    [1, 1, 4],
    [40, 7, 4],
    [100, 3, 32],
    [30, 200, 8],
  ])('%i rows of %i groups in tiles of %i', async (n, count, size) => {
    const next = generator(n + count);
    const of = Array.from({ length: 2 * n }, () => Math.floor(next() ** 2 * count));
    const given = tensor(Int32Array.from(of), [1, 2, n], { device: on.device });
    const found = groupTiles(given, count, size);
    const [rows, places, groups] = [await found.rows.data(), await found.places.data(), await found.groups.data()];
    const tiles = tilesOf(n, count, size);
    for (const h of [0, 1]) {
      const taken = new Set<number>();
      for (let i = 0; i < n; i++) {
        const place = places[h * n + i]!;
        taken.add(place);
        expect(rows[h * tiles * size + place]).toBe(i);
        expect(groups[h * tiles + Math.floor(place / size)]).toBe(of[h * n + i]);
      }
      expect(taken.size).toBe(n);
    }
    disposeAll([given, found.rows, found.places, found.groups]);
  });
});
