// of devices/memory/holds

import { expect, test } from 'vitest';
import { WasmMemory } from '../../../src/devices/cpu/memory-wasm.js';
import { HostMemory } from '../../../src/devices/memory/memory.js';
import { Ledger } from '../../../src/devices/ledger.js';

test('with poison, fresh and freed memory is NaN', () => {
  const memory = new HostMemory(new WasmMemory(undefined), new Ledger(), true);
  const buffer = memory.allocate(64, 'tensor');
  const bytes = memory.bytes(buffer, 0, 64);
  const floats = new Float32Array(bytes.buffer, bytes.byteOffset, 16);
  expect([...floats].every(Number.isNaN)).toBe(true);
  floats.fill(1);
  memory.free(buffer);
  expect([...floats].every(Number.isNaN)).toBe(true);
  memory.dispose();
});
