export { fnet } from './fnet.js';
export { synthesizer } from './synthesizer.js';
