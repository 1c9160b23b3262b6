import type { Block, Context, NamedTensors, Outcome } from '../nn/index.js';
import { checkpointedOutcome } from '../nn/checkpointed.js';
import { reversibleOutcome } from '../nn/reversible.js';
import { add, concat, mul } from '../ops/index.js';
import { scope, type Tensor } from '../tensor/index.js';
import type { LayerConfig } from './config-layers.js';
import type { ModelConfig } from './config.js';
import { withPlace } from './layer-state.js';
import type { RowChange } from './row-counts.js';

/** A layer and where it stands. */
export interface Placed {
  readonly block: Block;
  readonly index: number;
}

/**
 * Layers one after the other with residual connections of one kind. One that changes the number of rows is the first of its run: what
 * stands between two runs may be given back later.
 */
export interface Run {
  readonly residual: ModelConfig['residual'];
  readonly layers: readonly Placed[];
}

/** A layer and what it is given beside the stream. */
export interface Step extends Placed {
  readonly context: Context;
  readonly state: NamedTensors;
  /** The stream that had more rows, for a layer that gives them back. */
  readonly earlier: Tensor | undefined;
}

/** The layers of a stack in as few runs as can be. */
export function runsOf(layers: readonly LayerConfig[], blocks: readonly Block[], changes: readonly RowChange[]): Run[] {
  const runs: { residual: ModelConfig['residual']; layers: Placed[] }[] = [];
  layers.forEach(({ residual }, index) => {
    const last = runs.at(-1);
    const own = { block: blocks[index]!, index };
    const { resize, restores, unpools = false } = changes[index]!;
    const starts = unpools || (resize ?? restores) !== undefined;
    if (!starts && last?.residual.kind === residual.kind && last.residual.every === residual.every)
      last.layers.push(own);
    else runs.push({ residual, layers: [own] });
  });
  return runs;
}

/** What a layer reads is among its inputs: its state, the stream that it gives back to, types, then an encoder's output, which all read. */
const taken = ({ block, context, state, earlier }: Step) => ({
  modules: [block, ...block.uses],
  given: [...Object.values(state), ...(earlier ? [earlier] : []), ...(context.types ? [context.types] : [])],
  contextOf: (given: readonly Tensor[]): Context => {
    const names = Object.keys(state);
    const rest = given.slice(names.length);
    return {
      ...context,
      state: Object.fromEntries(names.map((name, i) => [name, given[i]!])),
      earlier: earlier && rest.shift(),
      types: context.types && rest.shift(),
      encoded: rest[0],
    };
  },
});

/** The stream after layers with plain residual connections, computed again in segments where they are so. */
export function plain(
  residual: ModelConfig['residual'],
  steps: readonly Step[],
  x: Tensor,
  encoded: readonly Tensor[],
): Outcome {
  const layers = steps.map((step) => {
    const { modules, given, contextOf } = taken(step);
    const forward = (rows: Tensor, ...own: Tensor[]): Outcome =>
      withPlace(step.index, step.block.forward(rows, contextOf(own)));
    return { modules, given, forward };
  });
  return checkpointedOutcome(
    layers,
    residual.kind === 'plain' ? layers.length : Math.max(1, residual.every),
    x,
    encoded,
  );
}

/** Both streams begin as x, and their mean is the result, or both side by side. (Kitaev et al. 2020, arXiv 2001.04451, section 3, has them side by side.) */
export function reversed(
  { joined = false }: ModelConfig['residual'],
  steps: readonly Step[],
  x: Tensor,
  encoded: readonly Tensor[],
): Outcome {
  const layers = steps.map((step) => {
    const { modules, given, contextOf } = taken(step);
    return {
      modules,
      given,
      f: (rows: Tensor, ...own: Tensor[]) => withPlace(step.index, step.block.mix(rows, contextOf(own))),
      g: (rows: Tensor, ...own: Tensor[]) => withPlace(step.index, step.block.feed(rows, contextOf(own))),
    };
  });
  return scope(() => {
    const { streams, beside } = reversibleOutcome(layers, x, x, encoded);
    return { ...beside, stream: joined ? concat([...streams], { axis: 2 }) : mul(add(...streams), 0.5) };
  });
}
