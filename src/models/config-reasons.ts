import { attendWithin, mechanism } from '../attention/index.js';
import { reasonAgainstMechanism } from '../attention/registry.js';
import { sectionSizes } from '../nn/feed-forward/define.js';
import { feedForward, reasonAgainstFeedForward } from '../nn/feed-forward/registry.js';
import { mixer, reasonAgainstMixer } from '../nn/mixers/registry.js';
import { segmentReasons, type RelativePositions } from '../nn/position-options.js';
import { endReasons } from './config-ends.js';
import { pooledRows } from '../nn/row-pooling.js';
import { feedForwardSizes, mixerSizes } from './config-layers.js';
import { ofOneLayer, poolsBy } from './config-pooling.js';
import { sizeReasons } from './config-sizes.js';
import { feedForwardSection, type Given } from './config-sections.js';
import { headReasons } from './head.js';
import { positionNames, remembers, seesBothSides, type ModelConfig } from './model-config.js';

/** Keys of `position` that one method alone takes. */
const ofMethod: Readonly<Record<string, string | readonly string[]>> = {
  base: 'rope',
  scaling: 'rope',
  rotary: 'rope',
  exponent: 'alibi',
  factor: 'alibi',
  rounding: 'alibi',
  buckets: 't5',
  maxDistance: 't5',
  clamp: 'transformer-xl',
  components: 'transformer-xl',
  segments: 'transformer-xl',
  shared: 'transformer-xl',
  first: ['learned', 'sinusoidal'],
  variant: 'sinusoidal',
  rows: 'learned',
  padding: 'learned',
  grid: 'learned',
};

/** Choices that contradict each other. */
export function contradictionsOf(config: ModelConfig, given: Readonly<Record<string, Given>>): string[] {
  const {
    kind,
    vocabulary,
    outputs = vocabulary,
    width,
    embedding: { width: embedded = width } = {},
    heads,
    kvHeads,
    headDim,
    position,
    norm,
    residual,
    memory,
  } = config;
  const recurrent = remembers(config);
  const faults = [
    ...ofOneLayer(config),
    ...sizeReasons(config),
    ...headReasons(config),
    ...endReasons(config),
    config.lora !== undefined &&
      config.lora.rank === undefined &&
      'lora.rank is missing; it must be the inner size of the adapters, such as 8',
    outputs > vocabulary && `outputs must be at most vocabulary ${vocabulary}; got ${outputs}`,
    !Number.isInteger(headDim) && `width ${width} is no multiple of heads ${heads}: change one, or set headDim`,
    headDim > 256 && `headDim must be at most 256; got ${headDim}: take more heads`,
    heads % kvHeads !== 0 && `kvHeads ${kvHeads} must divide heads ${heads}`,
    ...ropeReasons(config),
    position.method === 'sinusoidal' &&
      embedded % 2 === 1 &&
      `position sinusoidal needs an even width; got ${embedded}`,
    residual.kind === 'reversible' &&
      config.feedForward.name === 'none' &&
      'residual reversible takes a feed-forward layer; got none',
    residual.parallel !== undefined &&
      config.feedForward.name === 'none' &&
      'residual.parallel takes a feed-forward layer; got none',
    residual.kind === 'reversible' && norm.place === 'post' && 'residual reversible needs norm.place "pre"',
    residual.kind === 'reversible' &&
      kind === 'encoder-decoder' &&
      'residual reversible is for stacks without cross-attention',
    ...parallelReasons(config),
    ...scoringReasons(config),
    norm.mixing === false &&
      (norm.place !== 'pre' || residual.parallel !== undefined) &&
      'norm.mixing false is for layers of norm.place "pre" whose branches follow each other',
    norm.kind === 'rms' && norm.bias === true && 'norm.bias is for norms of kind "layer"',
    residual.every > 0 && residual.kind !== 'checkpointed' && `residual.every is for residual "checkpointed"`,
    recurrent && residual.kind !== 'plain' && `kind ${kind} takes residual "plain": its layers keep a memory`,
    recurrent && position.method !== 'transformer-xl' && `kind ${kind} takes position "transformer-xl"`,
    !recurrent && memory.length > 0 && 'memory.length is for kinds with memory',
    kind !== 'compressive-transformer' &&
      memory.compressed > 0 &&
      'memory.compressed is for kind "compressive-transformer"',
    position.method === 'transformer-xl' &&
      kind === 'encoder-decoder' &&
      'position transformer-xl is not for attention to an encoder: take a decoder or an encoder',
    !recurrent &&
      (memory.initial ?? memory.reuse) !== undefined &&
      'memory.initial and reuse are for kinds with memory',
    kind === 'compressive-transformer' &&
      (memory.initial ?? memory.reuse) !== undefined &&
      'memory.initial and reuse are not for what is compressed',
    ...(position.method === 'transformer-xl' ? relativeReasons(config, position) : []),
  ].filter((fault) => fault !== false);
  for (const [key, method] of Object.entries(ofMethod)) {
    const methods = [method].flat();
    if (given['position']![key] !== undefined && !methods.includes(position.method)) {
      faults.push(`position.${key} is for method "${methods.join('" or "')}"; got method "${position.method}"`);
    }
  }
  return faults;
}

/** What is wrong with terms of distances. */
const relativeReasons = (config: ModelConfig, { clamp, segments }: RelativePositions): readonly string[] => [
  ...segmentReasons(segments),
  ...(segments !== undefined && config.kind !== 'encoder' && !remembers(config)
    ? ['position.segments are for encoders, and kinds with memory']
    : []),
  ...(clamp !== undefined && (segments !== undefined || seesBothSides(config))
    ? ['position.clamp is for decoders without segments: distances to both sides have no table']
    : []),
];

function ropeReasons({ position, headDim }: ModelConfig): readonly (string | false)[] {
  if (position.method !== 'rope') return [];
  const { rotary } = position;
  return [
    rotary === undefined && headDim % 2 === 1 && `position rope needs an even headDim; got ${headDim}`,
    rotary !== undefined &&
      (rotary % 2 === 1 || rotary > headDim) &&
      `position.rotary must be even and at most headDim ${headDim}; got ${rotary}`,
  ];
}

function parallelReasons({ kind, norm, residual, mixer, pooling }: ModelConfig): readonly (string | false)[] {
  if (residual.parallel === undefined) return [];
  return [
    residual.kind === 'reversible' && 'residual.parallel is not for residual "reversible"',
    norm.place !== 'pre' && `residual.parallel takes norm.place "pre"; got "${norm.place}"`,
    kind !== 'decoder' && kind !== 'encoder' && `residual.parallel is for kinds decoder and encoder; got ${kind}`,
    (mixer ?? pooling) !== undefined &&
      'residual.parallel is for layers of attention that give as many rows as they take',
  ];
}

/** Of what changes how attention compares. */
function scoringReasons({ attention, mixer, position }: ModelConfig): readonly (string | false)[] {
  if (attention === undefined) return [];
  const { scale, softcap } = attention;
  return [
    mixer !== undefined && `attention is for layers of attention; got mixer ${mixer.name}`,
    position.method === 'transformer-xl' &&
      (scale ?? softcap) !== undefined &&
      'attention.scale and softcap are not for position transformer-xl, whose terms have a scale of their own',
  ];
}

/** What the mechanism has against the model. */
export function mechanismReasons(config: ModelConfig, causal: boolean): string[] {
  const { heads, kvHeads, headDim, length, position } = config;
  const { name, options, plugin } = config.mechanism;
  const missing = reasonAgainstMechanism(name, plugin);
  if (missing !== undefined) return [missing];
  const own = mechanism(name);
  const { supports, exactness, inputs } = own.definition;
  const reasons: string[] = [];
  const pools = poolsBy(config.pooling);
  if (pools && exactness !== 'exact') {
    reasons.push(`pooled queries attend to all rows, and ${name} is ${exactness}; take flash`);
  }
  const relative = position.method === 'transformer-xl';
  if (relative && !causal && (inputs || !exactness.startsWith('exact'))) {
    reasons.push(
      `position transformer-xl takes attention that is exact on its pairs; ${name} is not: take flash or rope`,
    );
  }
  const scored = position.method === 'alibi' || position.method === 't5' || (relative && causal);
  const { softcap, sinks, globals } = config.attention ?? {};
  if (globals && (causal || softcap !== undefined || !exactness.startsWith('exact'))) {
    reasons.push(
      `attention.globals is for encoders, with attention that is exact on its pairs and without softcap; got ${causal ? 'a decoder' : name}`,
    );
  }
  if (softcap !== undefined && !supports.score) {
    reasons.push(`${name} takes no change of scores, so attention.softcap does not work; leave it out, or take flash`);
  }
  if (sinks && (own.definition.forward ?? attendWithin) !== attendWithin) {
    reasons.push(`attention.sinks are added to the sum of a softmax over pairs, which ${name} has not; take flash`);
  }
  if (scored && !supports.score) {
    const others = positionNames.filter((one) => !['alibi', 't5', 'transformer-xl'].includes(one));
    reasons.push(
      `${name} takes no change of scores, so position ${position.method} does not work; take ${others.join(', ')}`,
    );
  }
  const L = pools ? pooledRows(length, pools) : length;
  const shape = { B: 1, H: heads, G: kvHeads, L, S: length, D: Math.ceil(headDim), E: Math.ceil(headDim) };
  const before = config.memory.length + config.memory.compressed;
  try {
    const given = { ...options, causal };
    own.settle(shape, given);
    // keys of the segments before
    if (before > 0) own.settle({ ...shape, S: length + before }, given);
  } catch (error) {
    reasons.push((error as Error).message.replace(/\.$/, ''));
  }
  return reasons;
}

/** What a mixer has against the model. */
export function mixerReasons(
  config: ModelConfig,
  { name, options, plugin }: NonNullable<ModelConfig['mixer']>,
  causal: boolean,
): string[] {
  const { kind, residual, length } = config;
  const sizes = mixerSizes(config, causal);
  if (remembers(config)) {
    return [`kind ${kind} attends to its memory, so it takes a mechanism and no mixer`];
  }
  const missing = reasonAgainstMixer(name, plugin);
  if (missing !== undefined) return [missing];
  try {
    const { resize, restores } = mixer(name).create(sizes, options);
    const rows = restores !== undefined ? undefined : (resize?.(length) ?? length);
    if (rows === length) return [];
    return [
      !(kind === 'encoder' || (kind === 'decoder' && mixer(name).definition.latest)) &&
        `mixer ${name} gives ${rows ?? 'other'} rows for ${length}, so it is for encoders`,
      residual.kind === 'reversible' &&
        `mixer ${name} changes the number of rows, so residual "reversible" is not for it`,
    ].filter((reason) => reason !== false);
  } catch (error) {
    return [(error as Error).message.replace(/\.$/, '')];
  }
}

/** What the feed-forward layer has against the model. */
export function feedForwardReasons(config: ModelConfig, causal: boolean): string[] {
  const own = config.feedForward;
  const missing = reasonAgainstFeedForward(own.name, own.plugin);
  if (missing !== undefined) return [missing];
  const kind = feedForward(own.name);
  const usual = feedForwardSection(config.width, { name: own.name });
  const unused = sectionSizes.filter((size) => !kind.supports(size) && own[size] !== usual[size]);
  if (unused.length > 0) return [`feedForward: ${own.name} has no use for ${unused.join(' and ')}; leave it out`];
  try {
    kind.settle(feedForwardSizes(config, config, causal), own.options);
    return [];
  } catch (error) {
    return [(error as Error).message.replace(/\.$/, '')];
  }
}
