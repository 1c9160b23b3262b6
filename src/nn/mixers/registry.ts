import type { OptionSpecs } from '../../attention/options.js';
import { Registry, type RegisterOptions } from '../../core/registry.js';
import { MixerKind } from './define.js';
import { fnetMixer } from './fnet.js';
import { gatedDeltaNet } from './gated-delta-net.js';
import { inducedSetMixer } from './induced-set.js';
import { linearEncoder } from './linear-encoder.js';
import { lunaMixer } from './luna.js';
import { mamba2 } from './mamba2.js';
import { mlpMixer } from './mlp-mixer.js';
import { perceiver } from './perceiver.js';
import { perceiverOutput } from './perceiver-output.js';
import { rowsAbove } from './rows-above.js';
import { poolingAttention } from './pooling-attention.js';
import { randomEncoder } from './random-encoder.js';
import { setAttention } from './set-attention.js';
import { synthesizerMixer } from './synthesizer.js';
import { tokenFuser } from './token-fuser.js';
import { tokenLearner } from './token-learner.js';

/** Every mixer of this package, by name; multi-head attention by a mechanism is the one that needs none. */
export const mixers: readonly MixerKind[] = [
  fnetMixer,
  linearEncoder,
  randomEncoder,
  mlpMixer,
  synthesizerMixer,
  tokenLearner,
  tokenFuser,
  lunaMixer,
  setAttention,
  inducedSetMixer,
  poolingAttention,
  perceiver,
  perceiverOutput,
  rowsAbove,
  mamba2,
  gatedDeltaNet,
];

const registry = new Registry(
  'mixer',
  'defineMixer',
  mixers,
  (value): value is MixerKind => value instanceof MixerKind,
);

/**
 * Makes a mixer of your own known by its name: to `mixer` and to the configurations of models. Returns a function that takes the name
 * back.
 *
 * @throws OptionError for a name that is taken, or for what `defineMixer` did not make.
 */
export const registerMixer = <O extends OptionSpecs, P extends string>(
  own: MixerKind<O, P>,
  options: RegisterOptions = {},
): (() => void) => registry.register('registerMixer', own, options);

/** The mixers of this package, then those that were registered. */
export const knownMixers = (): readonly MixerKind[] => registry.known();

/** The file that a registered mixer was said to come from. */
export const pluginOfMixer = (name: string): string | undefined => registry.pluginOf(name);

/** The mixer of a name, of this package or registered. @throws OptionError for an unknown one, with the nearest. */
export const mixer = (name: string): MixerKind => registry.get(name);

/** Why the mixer that a configuration names cannot be had; undefined if it can. */
export const reasonAgainstMixer = (name: string, plugin: string | undefined): string | undefined =>
  registry.reasonAgainst(name, plugin, 'registerMixer');
