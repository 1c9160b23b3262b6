import type { VectorBuilder } from '../../codegen/vector.js';
import { parameterList, type Kernel } from '../kernel.js';

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
  const whole = k.and(p.columns, -k.width);
  const rest = k.sub(p.columns, whole);
  k.loop(k.begin, k.end, (task) => {
    const first = k.mul(task, deltaRows);
    k.loop(first, k.min(k.add(first, deltaRows), p.rows), (row) => {
      const a = k.offset(p.dout, row, k.mul(p.columns, 4));
      const b = k.offset(p.out, row, k.mul(p.columns, 4));
      const sum = k.variable('vf', 0);
      k.loop(0, whole, (c) => {
        k.assign(sum, k.fma(k.loadVF(k.offset(a, c, 4)), k.loadVF(k.offset(b, c, 4)), sum));
      }, k.width);
      const [ta, tb] = [k.offset(a, whole, 4), k.offset(b, whole, 4)];
      k.assign(sum, k.fma(k.loadVF(ta, 0, rest), k.loadVF(tb, 0, rest), sum));
      const total = k.variable('f32', k.reduceAdd(sum));
      k.if(p.hasDlogsumexp, () => k.assign(total, k.sub(total, k.loadF32(k.offset(p.dlogsumexp, row, 4)))));
      k.store(k.offset(p.delta, row, 4), total);
    });
  });
}
