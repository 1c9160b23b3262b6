import type { Pointer, VectorBuilder, VF } from '../../codegen/vector.js';
import { fillRows, rowAt, storeRows } from './rows.js';
import type { Rows, Workspace } from './spec.js';
import type { Step } from './step.js';

/**
 * What state and adjoint give to the gradients of queries and keys is weighed by the decay, and pairs within the step are added. A
 * decay is in every product of something written before it with something read after it, so its gradient is the sum of those and of
 * nothing else: no difference of large sums, however much is forgotten. A vector of columns after the other.
 */
export function weighGradients(k: VectorBuilder, w: Workspace, state: Rows): void {
  const { chunk, delta } = w.spec;
  const { decays } = w;
  k.loop(0, w.k.pitch / k.width, (column) => {
    const at = (rows: Rows, r: Parameters<typeof rowAt>[2]): Pointer =>
      k.offset(rowAt(k, rows, r), column, 4 * k.width);
    const load = (rows: Rows, r: Parameters<typeof rowAt>[2]): VF => k.loadVF(at(rows, r));
    const addTo = (rows: Rows, r: Parameters<typeof rowAt>[2], x: VF): void =>
      k.store(at(rows, r), k.add(k.loadVF(at(rows, r)), x));
    if (decays) k.loop(0, chunk + 1, (r) => k.store(at(w.ddecay, r), k.constant('vf', 0)));
    const total = k.variable('vf', 1);
    k.loop(0, chunk, (r) => {
      const [q, key] = [load(w.q, r), load(w.k, r)];
      const α = decays ? load(w.alpha, r) : undefined;
      if (α) k.assign(total, k.mul(total, α));
      const dq = k.variable('vf', k.mul(load(w.dq, r), total));
      const dk = k.variable('vf', delta ? k.mul(load(w.dkRead, r), total) : 0);
      // products with what was written before position s
      const before = k.variable('vf', delta ? k.fma(key, dk, k.mul(q, dq)) : k.mul(q, dq));
      if (decays) addTo(w.ddecay, 0, before);
      k.loop(0, r, (s) => {
        const between = α && k.mul(load(w.between, s), α);
        const [byQuery, byKey] = [w.gradientByQueries, w.gradientByKeys].map((of) =>
          k.loadSplat(k.offset(rowAt(k, of, r), s, 4)),
        ) as [VF, VF];
        const weighted = between ? k.mul(between, load(w.k, s)) : load(w.k, s);
        const reads = delta ? k.fma(byKey, key, k.mul(byQuery, q)) : k.mul(byQuery, q);
        k.assign(dq, k.fma(byQuery, weighted, dq));
        if (delta) k.assign(dk, k.fma(byKey, weighted, dk));
        addTo(w.dk, s, between ? k.mul(reads, between) : reads);
        if (!between) return;
        k.store(at(w.between, s), between);
        k.assign(before, k.fma(reads, weighted, before));
        addTo(w.ddecay, k.add(s, 1), before);
      });
      const own = k.loadSplat(k.offset(rowAt(k, w.gradientByQueries, r), r, 4));
      k.store(at(w.dq, r), k.fma(own, key, dq));
      k.store(at(w.dk, r), k.fma(own, q, dk));
      if (decays) k.store(at(w.between, r), k.constant('vf', 1));
    });
    const before = k.variable('vf', 0);
    if (decays) {
      k.loop(0, w.spec.E, (e) => k.assign(before, k.fma(load(state, e), load(w.adjointColumns, e), before)));
      k.assign(before, k.mul(before, total));
      addTo(w.ddecay, 0, before);
    }
    k.loop(0, chunk, (s) => {
      const after = decays ? k.mul(load(w.between, s), load(w.dkAfter, s)) : load(w.dkAfter, s);
      addTo(w.dk, s, after);
      if (!decays) return;
      k.assign(before, k.fma(load(w.k, s), after, before));
      addTo(w.ddecay, k.add(s, 1), before);
    });
  });
}

/** By feature as it is, else its sum; 0 where the position does not exist. */
export function storeDecayGradient(k: VectorBuilder, w: Workspace, ddecay: Pointer, step: Step): void {
  const { M, decay } = w.spec;
  if (decay === 'none') return;
  fillRows(k, w.ddecay, step.count, w.spec.chunk, 0);
  if (decay === 'feature') return storeRows(k, w.ddecay, k.offset(ddecay, step.row, 4 * M), M, step.total);
  k.loop(0, step.total, (r) => {
    const sum = k.variable('vf', 0);
    const row = rowAt(k, w.ddecay, r);
    k.loop(0, w.ddecay.pitch, (i) => k.assign(sum, k.add(sum, k.loadVF(k.offset(row, i, 4)))), k.width);
    k.store(k.offset(k.offset(ddecay, step.row, 4), r, 4), k.reduceAdd(sum));
  });
}
