import type { Kernel } from '../../codegen/kernel.js';
import { wgslArgument } from '../../codegen/gpu.js';

const never = (): never => {
  throw new Error('a kernel of the GPU device has no text for CPUs');
};
const SIZE = 64;

/** Words of the arena become one word: an address and a number of words, both in bytes' and words' units. */
export const fillWords: Kernel = {
  name: 'webgpu fill',
  key: '',
  parameters: ['i32', 'i32', 'i32'],
  cpu: never,
  gpu: () => ({
    wgsl: `fn run(task: u32, lane: u32) {
  let words = bitcast<u32>(${wgslArgument(1, 'i32')});
  for (var i = 0u; i < ${FILL_WORDS / SIZE}u; i++) {
    let at = task * ${FILL_WORDS}u + i * ${SIZE}u + lane;
    if (at < words) { arena[bitcast<u32>(${wgslArgument(0, 'i32')}) + at] = bitcast<u32>(${wgslArgument(2, 'i32')}); }
  }
}`,
    workgroupSize: SIZE,
  }),
};
/** Words that one task fills. */
export const FILL_WORDS = 16 * SIZE;

/** Bits of one word, those of a mask, become others: a byte's write must leave its neighbours. */
export const mergeWord: Kernel = {
  name: 'webgpu merge',
  key: '',
  parameters: ['i32', 'i32', 'i32'],
  cpu: never,
  gpu: () => ({
    wgsl: `fn run(task: u32, lane: u32) {
  let at = bitcast<u32>(${wgslArgument(0, 'i32')});
  let mask = bitcast<u32>(${wgslArgument(1, 'i32')});
  arena[at] = (arena[at] & ~mask) | (bitcast<u32>(${wgslArgument(2, 'i32')}) & mask);
}`,
    workgroupSize: 1,
  }),
};
