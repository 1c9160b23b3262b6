export {
  defineMixer,
  MixerKind,
  type MixerCall,
  type MixerDefinition,
  type MixerResult,
  type MixerSizes,
} from './define.js';
