import { typedKernel } from '../typed-kernel.js';
import { sumVectors } from '../lanes.js';

/** `out[m, p, t] = ⟨d[m, p], x[m, p·stride + t]⟩`, 0 where there is no such row. Tasks are matrices × chunks of slots. */
export const poolRowsWeightsKernel = typedKernel({
  name: 'pool rows weights',
  key: () => '',
  parameters: {
    x: 'pointer',
    d: 'pointer',
    out: 'pointer',
    n: 'i32',
    columns: 'i32',
    slots: 'i32',
    taps: 'i32',
    stride: 'i32',
    rows: 'i32',
    chunks: 'i32',
  },
  text: (k, _: undefined, p) =>
    k.loop(k.begin, k.end, (task) => {
      const matrix = k.div(task, p.chunks);
      const begin = k.mul(k.rem(task, p.chunks), p.rows);
      k.loop(begin, k.min(k.add(begin, p.rows), p.slots), (slot) => {
        const start = k.mul(slot, p.stride);
        const place = k.add(k.mul(matrix, p.slots), slot);
        const d = k.offset(p.d, k.mul(place, p.columns), 4);
        const x = k.offset(p.x, k.mul(k.add(k.mul(matrix, p.n), start), p.columns), 4);
        const out = k.offset(p.out, k.mul(place, p.taps), 4);
        const there = k.min(p.taps, k.sub(p.n, start));
        k.loop(0, there, (t) => {
          const row = k.offset(x, k.mul(t, p.columns), 4);
          const product = sumVectors(k, k.constant('i32', 0), p.columns, (at, count) =>
            k.mul(k.loadVF(k.offset(d, at, 4), 0, count), k.loadVF(k.offset(row, at, 4), 0, count)),
          );
          k.store(k.offset(out, t, 4), product);
        });
        k.loop(there, p.taps, (t) => k.store(k.offset(out, t, 4), k.constant('f32', 0)));
      });
    }),
});
