import type { I32, Pointer, VectorBuilder, VF } from '../../codegen/vector.js';
import type { Kernel } from '../../codegen/kernel.js';
import { parameterList } from '../parameters.js';

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
    const end = k.min(k.add(start, deltaRows), p.rows);
    k.loop(
      start,
      end,
      (first) => {
        const count = k.min(k.sub(end, first), k.width);
        // one row a lane; lanes past the last row repeat it
        const row = k.min(k.iota(), k.splat(k.sub(count, 1)));
        const index = k.mul(row, k.splat(p.columns));
        const load = (base: Pointer, c: I32): VF => k.gatherVF(k.offset(k.offset(base, first, pitch), c, 4), index);
        const sum = k.variable('vf', 0);
        // term by term as in the products dP = dO·Vᵀ: where out is a row of v, δ is that dP to the bit, and dS is 0
        k.loop(0, p.columns, (c) => k.assign(sum, k.fma(load(p.dout, c), load(p.out, c), sum)));
        k.if(p.hasDlogsumexp, () => k.assign(sum, k.sub(sum, k.loadVF(k.offset(p.dlogsumexp, first, 4), 0, count))));
        k.store(k.offset(p.delta, first, 4), sum, 0, count);
      },
      k.width,
    );
  });
}
