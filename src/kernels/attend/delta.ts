import type { Pointer, VectorBuilder, VF } from '../../codegen/vector.js';
import { parameterList, type Kernel } from '../kernel.js';
import { rowGroups } from '../tile.js';

export const deltaParameters = parameterList({
  dout: 'pointer',
  out: 'pointer',
  /** The cotangent of logsumexp; read only if `hasDlogsumexp`. */
  dlogsumexp: 'pointer',
  delta: 'pointer',
  rows: 'i32',
  columns: 'i32',
  hasDlogsumexp: 'i32',
});

/** Rows of one task. */
export const deltaRows = 256;

/** δ_i = Σ_e dout_ie · out_ie − dlogsumexp_i: what the softmax gradient subtracts from each row of dP. */
export const attendDelta: Kernel = {
  name: 'attend delta',
  key: 'attend-delta',
  parameters: deltaParameters.kinds,
  cpu: text,
};

function text(k: VectorBuilder): void {
  const p = deltaParameters.read(k);
  const pitch = k.mul(p.columns, 4);
  k.loop(k.begin, k.end, (task) => {
    const start = k.mul(task, deltaRows);
    const count = k.sub(k.min(k.add(start, deltaRows), p.rows), start);
    // a few rows at a time, as each sum waits for itself
    rowGroups(k, count, 4, (offset, rows) => {
      const first = k.add(start, offset);
      const at = (base: Pointer, r: number): Pointer => k.offset(base, k.add(first, r), pitch);
      const sums = Array.from({ length: rows }, () => k.variable('vf', 0));
      const pairs = sums.map((sum, r) => ({ sum, dout: at(p.dout, r), out: at(p.out, r) }));
      // term by term as in the products dP = dO·Vᵀ: where out is a row of v, δ is that dP to the bit, and dS is 0
      k.loop(0, p.columns, (c) => {
        const load = (row: Pointer): VF => k.loadSplat(k.offset(row, c, 4));
        for (const { sum, dout, out } of pairs) k.assign(sum, k.fma(load(dout), load(out), sum));
      });
      sums.forEach((sum, r) => {
        const row = k.add(first, r);
        const total = k.variable('f32', k.lane(sum, 0));
        k.if(p.hasDlogsumexp, () => k.assign(total, k.sub(total, k.loadF32(k.offset(p.dlogsumexp, row, 4)))));
        k.store(k.offset(p.delta, row, 4), total);
      });
    });
  });
}
