export {
  defineMixer,
  MixerKind,
  type MixerCall,
  type MixerDefinition,
  type MixerResult,
  type MixerSizes,
} from './define.js';
export { mixer, mixers, registerMixer } from './registry.js';
export { fnetMixer } from './fnet.js';
export { synthesizerMixer } from './synthesizer.js';
