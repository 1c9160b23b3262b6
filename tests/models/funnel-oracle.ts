import { layersOf } from '../../src/models/index.js';
import { funnelAttention, pooledRows, repeated, type Standing } from '../oracles/funnel.js';
import type { Matrix } from '../oracles/graph.js';
import { ModelOracle } from './oracle.js';

/** Layers of which some pool their queries, and some give rows back. */
export class FunnelOracle extends ModelOracle {
  /** The type of each token; absent: all of one segment. */
  types: readonly number[] | undefined;

  override layers(x: Matrix): Matrix {
    return this.streams(x).at(-1)!;
  }

  /** What every layer gives, and before a decoder what it is given. */
  streams(x: Matrix): Matrix[] {
    const { g, parameter, config } = this;
    const all: Matrix[] = [];
    const layers = layersOf(config);
    const separateClass = layers.some(({ pooling }) => pooling && 'separateClass' in pooling && pooling.separateClass);
    const tokens = Array.from({ length: x.rows }, (_, i) => i);
    let at: Standing = { x, positions: tokens, stride: 1, ...(this.types && { types: this.types }) };
    const earlier: Standing[] = [];
    layers.forEach((layer, index) => {
      const own = this.of(index);
      const name = `${this.at(layer.as ?? index)}.attention`;
      const { pooling } = layer;
      if (pooling?.kind === 'restore') {
        const [first] = earlier;
        const back = repeated(g, at.x, first!.x.rows, earlier.length, separateClass);
        at = { ...first!, x: g.add(first!.x, back) };
        all.push(at.x);
      }
      const shortens = pooling && pooling.kind !== 'restore' ? pooling : undefined;
      if (shortens) earlier.push(at);
      // keys are of pooled rows too
      if (shortens?.keys) at = pooledRows(g, at, shortens);
      const pools = shortens?.keys ? undefined : shortens;
      const norm = `${this.at(layer.as ?? index)}.attentionResidual.norm`;
      const pre = own.config.norm.place === 'pre';
      const given: Standing = { ...at, x: pre ? own.norm(norm, at.x) : at.x };
      const queries = pools ? pooledRows(g, given, pools) : given;
      const base = pools ? pooledRows(g, at, pools) : at;
      const mixed = funnelAttention(g, queries, given, {
        heads: config.heads,
        headDim: config.headDim,
        position: own.config.position.method as 'rope',
        separateClass,
        ...(own.config.position.method === 'transformer-xl' && { joker: own.config.position.segments?.class }),
        parameter: (part) => parameter(`${name}.${part}`),
      });
      const sum = g.add(base.x, mixed);
      const stream = pre ? sum : own.norm(norm, sum);
      const next = own.residual(`${this.at(layer.as ?? index)}.feedForwardResidual.norm`, stream, (y) =>
        own.feedForward(layer.as ?? index, y),
      );
      at = { ...base, x: next };
      all.push(next);
    });
    return all;
  }
}
