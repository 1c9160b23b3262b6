import { encoderCase, type EncoderCase } from './encoder.js';
import type { Case, Peer } from './job.js';
import { plainLoops } from './peers/loops.js';
import { onnxruntimeNode, onnxruntimeWeb } from './peers/onnxruntime.js';
import { tfjsWasm } from './peers/tfjs.js';

/** One case and those who run it in turns. Ratios are given against the one named `rival`. */
export interface Contest {
  readonly title: string;
  readonly work: Case;
  /** What results are held to the reference on; default the work, which may be too much for a reference in float64. */
  readonly heldOn?: Case;
  readonly entrants: readonly Entrant[];
  readonly rival: string;
}

/** A peer by name, loaded when first asked for and once: a build that does not load is a noted row, not a failed run. */
class Entrant {
  #peer: Promise<Peer> | undefined;

  constructor(
    readonly name: string,
    readonly create: () => Promise<Peer>,
  ) {}

  load(): Promise<Peer> {
    return (this.#peer ??= this.create());
  }
}

const subquad = (kind: 'native' | 'wasm', threads: number) =>
  new Entrant(`subquad ${kind}`, async () => (await import('./peers/subquad.js')).subquad(kind, threads));

export function contests(): Contest[] {
  const attend = { 1024: attendCase(4, 1024, 64), 2048: attendCase(4, 2048, 64), 4096: attendCase(4, 4096, 64) };
  const matmul = matmulCase(1024);
  const wasm = subquad('wasm', 1);
  const web = new Entrant('onnxruntime-web', onnxruntimeWeb);
  const tfjs = new Entrant('tfjs wasm', tfjsWasm);
  const loops = new Entrant('plain loops', plainLoops);
  const native = [1, 2].flatMap((threads): Contest[] => {
    const node = new Entrant('onnxruntime-node', () => onnxruntimeNode(threads));
    const common = { entrants: [subquad('native', threads), node], rival: node.name };
    const machine = `native, ${threads} thread${threads > 1 ? 's' : ''}`;
    return [
      { title: `attend, ${machine}`, work: attend[4096], ...common },
      { title: `matmul, ${machine}`, work: matmul, ...common },
      ...[512, 4096].map((length) => ({
        title: `encoder, ${machine}`,
        work: encoder(length, 12),
        heldOn: encoder(96, 2),
        ...common,
      })),
    ];
  });
  return [
    ...native,
    { title: 'attend, WebAssembly, 1 thread', work: attend[2048], entrants: [wasm, web, tfjs], rival: web.name },
    { title: 'matmul, WebAssembly, 1 thread', work: matmul, entrants: [wasm, web, tfjs], rival: web.name },
    { title: 'attend, plain JavaScript', work: attend[1024], entrants: [wasm, tfjs, loops], rival: loops.name },
    { title: 'matmul, plain JavaScript', work: matmul, entrants: [wasm, loops], rival: loops.name },
  ];
}

function attendCase(heads: number, length: number, headDim: number): Case {
  const [q, k, v] = [1, 2, 3].map((seed) => normals(heads * length * headDim, seed));
  return { op: 'attend', heads, length, headDim, q: q!, k: k!, v: v! };
}

/** As large as BERT-base. Made once: twelve layers are 340 MB. */
function encoder(length: number, layers: number): Case {
  let seed = 10;
  const made =
    encoders.get(layers) ?? encoderCase({ ...BASE, length: LONGEST, layers }, (count) => normals(count, seed++));
  encoders.set(layers, made);
  return { ...made, length, x: made.x.subarray(0, length * BASE.width) };
}

const BASE = { width: 768, heads: 12, hidden: 3072 };
const LONGEST = 4096;
const encoders = new Map<number, EncoderCase>();

function matmulCase(n: number): Case {
  return { op: 'matmul', n, a: normals(n * n, 4), b: normals(n * n, 5) };
}

/** Standard normal values from a 32-bit mixing generator (splitmix32) and the Box–Muller transform. */
function normals(count: number, seed: number): Float32Array {
  let state = seed * 0x9e3779b9;
  const uniform = () => {
    state = (state + 0x9e3779b9) | 0;
    let x = state ^ (state >>> 16);
    x = Math.imul(x, 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return (((x ^ (x >>> 15)) >>> 0) + 0.5) / 2 ** 32;
  };
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}
