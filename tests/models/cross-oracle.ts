import { decoderOf, encoderOf } from '../../src/models/config-decoder.js';
import type { ModelConfig } from '../../src/models/index.js';
import { affine } from '../nn/formulas.js';
import type { Graph, Matrix } from '../oracles/graph.js';
import { ModelOracle, type Parameter } from './oracle.js';

/** A decoder whose layers also read what an encoder gave: its keys and values have no positions and no order. */
export class CrossOracle extends ModelOracle {
  constructor(
    g: ModelOracle['g'],
    config: ModelOracle['config'],
    parameter: Parameter,
    readonly encoded: Matrix,
  ) {
    super(g, config, parameter, 'decoder', true);
  }

  override layers(x: Matrix): Matrix {
    let rows = x;
    for (let layer = 0; layer < this.config.layers; layer++) {
      const own = this.of(layer);
      const norm = (of: string): string => `${this.at(layer)}.${of}Residual.norm`;
      rows = own.residual(norm('attention'), rows, (y) => own.attention(layer, y));
      rows = own.residual(norm('cross'), rows, (y) => this.#cross(layer, y));
      rows = own.residual(norm('feedForward'), rows, (y) => own.feedForward(layer, y));
    }
    return rows;
  }

  #cross(layer: number, x: Matrix): Matrix {
    const { g, config } = this;
    const name = `${this.at(layer)}.cross`;
    const outs = this.projected(name, x, this.encoded).map(([q, k, v]) =>
      g.matmul(g.softmax(g.scale(g.matmulT(q, k), this.scale)), v),
    );
    const bias = config.bias ? this.parameter(`${name}.out.bias`) : undefined;
    return affine(g, g.concatColumns(outs), this.parameter(`${name}.out.weight`), bias);
  }
}

/** The decoder of an encoder–decoder behind a source. */
export function decoderBehind(
  g: Graph,
  config: ModelConfig,
  parameter: Parameter,
  source: readonly number[],
): CrossOracle {
  const encoder = new ModelOracle(g, encoderOf(config), parameter, 'encoder', false);
  return new CrossOracle(g, decoderOf(config), parameter, encoder.hidden(source));
}
