import { exp, log } from '../codegen/math.js';
import type { F32, I32, Pointer, VectorBuilder, VF } from '../codegen/vector.js';
import { bytesPerElement, type FloatDtype } from '../core/dtype.js';
import { loadFloats, loadSplat } from './cast/convert.js';
import { typedKernel } from './typed-kernel.js';
import { eachVector, firstLanes, sumVectors } from './lanes.js';
import { rowShift } from './rowwise/reduce.js';

export interface CrossEntropySpec {
  readonly dtype: FloatDtype;
  readonly smooth: boolean;
}

const key = ({ dtype, smooth }: CrossEntropySpec): string => `${dtype}${smooth ? ' smooth' : ''}`;

const names = {
  logits: 'pointer',
  targets: 'pointer',
  logsumexp: 'pointer',
  rows: 'i32',
  length: 'i32',
  rowsPerTask: 'i32',
  /** A target that is left out; one below 0 where none is. */
  ignore: 'i32',
  /** Weight shared evenly by all classes, and the rest. */
  smoothing: 'f32',
  sharp: 'f32',
} as const;

/** `loss = logsumexp(x) − sharp·x_target − smoothing·mean(x)` of every row, 0 where the target is ignored. */
export const crossEntropyKernel = typedKernel({
  name: 'cross entropy',
  key,
  parameters: { ...names, loss: 'pointer' },
  text: (k, { dtype, smooth }: CrossEntropySpec, p) =>
    eachRow(k, p, (row, target) => {
      const size = bytesPerElement[dtype];
      const from = k.offset(p.logits, k.mul(row, p.length), size);
      const load = (at: I32, count?: I32): VF => loadFloats(k, dtype, k.offset(from, at, size), 0, count);
      const zero = k.constant('i32', 0);
      const shift = rowShift(k, load, zero, p.length);
      const all = k.splat(shift);
      const sum = sumVectors(k, zero, p.length, (at, count) =>
        exp(k, k.sub(firstLanes(k, load(at, count), count, -Infinity), all)),
      );
      const logsumexp = k.add(shift, k.lane(log(k, k.splat(sum)), 0));
      k.store(k.offset(p.logsumexp, row, 4), logsumexp);
      const loss = k.variable('f32', 0);
      k.if(k.ne(target, p.ignore), () => {
        k.assign(loss, k.sub(logsumexp, k.mul(p.sharp, loadNumber(k, dtype, k.offset(from, target, size)))));
        if (!smooth) return;
        const mean = k.div(sumVectors(k, zero, p.length, load), k.toFloat(p.length));
        k.assign(loss, k.sub(loss, k.mul(p.smoothing, mean)));
      });
      k.store(k.offset(p.loss, row, 4), loss);
    }),
});

/** `dx = dloss·factor·(softmax(x) − sharp·onehot(target) − smoothing/n)`, 0 in ignored rows. */
export const crossEntropyGradientKernel = typedKernel({
  name: 'cross entropy gradient',
  key,
  parameters: {
    ...names,
    dloss: 'pointer',
    /** 1 where every row has a `dloss`, 0 where all share one. */
    dlossStep: 'i32',
    factor: 'f32',
    dlogits: 'pointer',
  },
  text: (k, { dtype, smooth }: CrossEntropySpec, p) =>
    eachRow(k, p, (row, target) => {
      const size = bytesPerElement[dtype];
      const start = k.mul(row, p.length);
      const [from, to] = [k.offset(p.logits, start, size), k.offset(p.dlogits, start, 4)];
      const zero = k.constant('i32', 0);
      k.if(
        k.ne(target, p.ignore),
        () => {
          const scale = k.mul(p.factor, k.loadF32(k.offset(p.dloss, k.mul(row, p.dlossStep), 4)));
          const logsumexp = k.loadSplat(k.offset(p.logsumexp, row, 4));
          const everywhere = k.splat(k.div(p.smoothing, k.toFloat(p.length)));
          eachVector(k, zero, p.length, (at, count) => {
            const weight = exp(k, k.sub(loadFloats(k, dtype, k.offset(from, at, size), 0, count), logsumexp));
            const difference = smooth ? k.sub(weight, everywhere) : weight;
            k.store(k.offset(to, at, 4), k.mul(k.splat(scale), difference), 0, count);
          });
          const there = k.offset(to, target, 4);
          k.store(there, k.sub(k.loadF32(there), k.mul(scale, p.sharp)));
        },
        () => eachVector(k, zero, p.length, (at, count) => k.store(k.offset(to, at, 4), k.constant('vf', 0), 0, count)),
      );
    }),
});

type Rows = { readonly rows: I32; readonly rowsPerTask: I32; readonly targets: Pointer };

function eachRow(k: VectorBuilder, p: Rows, body: (row: I32, target: I32) => void): void {
  k.loop(k.begin, k.end, (task) => {
    const first = k.mul(task, p.rowsPerTask);
    k.loop(first, k.min(k.add(first, p.rowsPerTask), p.rows), (row) =>
      body(row, k.loadI32(k.offset(p.targets, row, 4))),
    );
  });
}

const loadNumber = (k: VectorBuilder, dtype: FloatDtype, from: Pointer): F32 =>
  dtype === 'f32' ? k.loadF32(from) : k.lane(loadSplat(k, dtype, from) as VF, 0);
