import { it } from 'vitest';
import { lookup, tableOf } from '../../src/codegen/expression/index.js';
import * as m from '../../src/masks/index.js';
it('time', () => {
  const n = 65536;
  const shape = { B: 1, H: 1, G: 1, L: n, S: n };
  const docs = Int32Array.from({ length: n }, (_, i) => Math.floor(i / 1000));
  const rnd = Int32Array.from({ length: n }, (_, i) => (Math.imul(i, 2654435761) >>> 0) % 64);
  const perm = Int32Array.from({ length: n }, (_, i) => Math.imul(i, 40503) & 65535);
  const list: [string, m.Mask][] = [
    ['causal', m.causal()],
    ['causal & within', m.causal().and(m.within({ radius: 256 }))],
    ['causal&within|global', m.causal().and(m.within({ radius: 256 })).or(m.global([0, 77]))],
    ['within | global20', m.within({ radius: 256 }).or(m.global(Array.from({ length: 20 }, (_, i) => i * 3001)))],
    ['fixed256 & causal', m.causal().and(m.fixed({ stride: 256, columns: 32 }))],
    ['fixed128 c8 & causal', m.causal().and(m.fixed({ stride: 128, columns: 8 }))],
    ['doc & causal', m.causal().and(m.document(docs))],
    ['doc random 64', m.document(rnd)],
    ['doc permuted', m.document(perm)],
    ['strided 256 causal', m.causal().and(m.strided({ stride: 256 }))],
    ['strided 1000', m.strided({ stride: 1000 })],
    ['strided 16', m.strided({ stride: 16 })],
    ['dilated', m.dilated({ dilation: 4, radiusSlots: 256 })],
    ['prefix', m.prefix(1000)],
    ['everything', m.causal().and(m.document(docs)).and(m.strided({ stride: 256 }).or(m.fixed({ stride: 256, columns: 16 }))).or(m.global({ first: 64 }))],
    ['q<k*3', m.mask(({ q, k }) => q.lt(k.mul(3)))],
    ['q*k product', m.mask(({ q, k }) => q.floorDiv(7).mul(k.floorDiv(9)).mod(1000).lt(500))],
    ['q+k', m.mask(({ q, k }) => q.add(k).mod(512).lt(256))],
    ['f32 slope', m.mask(({ q, k }) => q.toF32().mul(0.3).le(k.toF32()))],
  ];
  for (const [name, mask] of list) {
    const times: number[] = [];
    let map!: m.TileMap;
    for (let r = 0; r < 5; r++) {
      const t0 = performance.now();
      const e = mask.expression(shape);
      map = m.classifyTiles(e, { ...shape, queryTile: 64, keyTile: 64, queryOffset: 0 });
      times.push(performance.now() - t0);
    }
    const t1 = performance.now();
    m.transpose(map);
    const t2 = performance.now();
    const small = { ...shape, L: 16384, S: 16384 };
    console.log(name.padEnd(24), 'first', times[0]!.toFixed(1), 'median', times.sort((a, b) => a - b)[2]!.toFixed(1), 'transpose', (t2 - t1).toFixed(1), JSON.stringify(map.counts), map.runs.length / 3);
  }
  for (const [name, mask] of list) {
    if (/product|q\+k|f32/.test(name)) continue;
    const t1 = performance.now();
    const c = m.countPairs(mask, shape);
    console.log(name.padEnd(24), 'count', (performance.now() - t1).toFixed(1), c);
  }
  const N = 1 << 20;
  for (const mask of [m.within({ radius: 256 }), m.causal().and(m.within({ radius: 256 })).or(m.global([0]))]) {
    const t1 = performance.now();
    const big = { ...shape, L: N, S: N };
    const map = m.classifyTiles(mask.expression(big), { ...big, queryTile: 64, keyTile: 64, queryOffset: 0 });
    console.log('1M', String(mask), (performance.now() - t1).toFixed(1), map.counts);
  }
}, 300000);
