import * as all from '../../src/attention/index.js';
import type { Mechanism } from '../../src/attention/index.js';

// compiles only while every mechanism is a Mechanism
export const every: readonly Mechanism[] = [
  all.chunked,
  all.flash,
  all.standard,
  all.reformer,
  all.linearTransformer,
  all.performer,
  all.linformer,
  all.nystromformer,
  all.fnet,
  all.synthesizer,
  all.axial,
  all.blockwise,
  all.dilatedWindow,
  all.fixed,
  all.globalTokens,
  all.local1d,
  all.local2d,
  all.randomBlocks,
  all.slidingWindow,
  all.sparseTransformer,
  all.strided,
  all.bigbird,
  all.etc,
  all.longShort,
  all.longShortCausal,
  all.longformer,
  all.memoryCompressed,
  all.poolingformer,
];
