export { Mask, mask } from './mask.js';
export { ranges, type AttendShape, type Place } from './place.js';
export { causal, within, dilated, type WithinOptions, type DilatedOptions } from './bands.js';
export { strided, fixed, blocks, type Part } from './factorised.js';
export { global, type GlobalAccess } from './global.js';
export { document, prefix, lengths, dense } from './data.js';
export { classifyTiles, tileClass, EMPTY, PARTIAL, FULL, type TileMap, type TileOptions } from './tiles.js';
export { countPairs } from './count.js';
export { periodicity, type Periodicity } from './periodic.js';
