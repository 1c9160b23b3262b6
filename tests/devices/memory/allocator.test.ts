import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ALIGNMENT, Allocator, type Block, coversRegion } from '../../../src/devices/memory/allocator.js';

const REGIONS = [
  { address: 64, length: 64 * 40 },
  { address: 2 ** 40, length: 64 * 200 },
] as const;

function fresh(): Allocator {
  const allocator = new Allocator();
  for (const region of REGIONS) allocator.add(region, region.address, region.length);
  return allocator;
}

const total = REGIONS.reduce((sum, region) => sum + region.length, 0);

/** Every rule of the allocator that can be checked from outside, given the blocks it handed out. */
function check(allocator: Allocator, taken: readonly Block[]): void {
  const pieces = [...taken, ...allocator.freeBlocks];
  for (const region of REGIONS) {
    const inside = pieces
      .filter((block) => block.region === region)
      .slice()
      .sort((a, b) => a.address - b.address);
    let end: number = region.address;
    let wasFree = false;
    for (const block of inside) {
      expect(block.address, 'no gap and no overlap').toBe(end);
      expect(block.address % ALIGNMENT).toBe(0);
      expect(block.length % ALIGNMENT).toBe(0);
      expect(block.free && wasFree, 'two free neighbours').toBe(false);
      wasFree = block.free;
      end = block.address + block.length;
    }
    expect(end).toBe(region.address + region.length);
  }
  const free = allocator.freeBlocks.map((block) => block.length);
  expect(allocator.freeBytes).toBe(free.reduce((sum, length) => sum + length, 0));
  expect(free).toEqual(free.slice().sort((a, b) => a - b));
}

describe('allocator', () => {
  test('any sequence of calls keeps the pieces apart, aligned and coalesced, and returns to one block', () => {
    // a positive step takes so many bytes, a negative one frees one of the blocks held
    const steps = fc.array(fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: -50, max: -1 })), {
      maxLength: 120,
    });
    fc.assert(
      fc.property(steps, (sequence) => {
        const allocator = fresh();
        const taken: Block[] = [];
        for (const step of sequence) {
          if (step > 0) {
            const before = allocator.freeBlocks.filter((block) => block.length >= step).map((block) => block.length);
            const block = allocator.take(step);
            if ((block === undefined) !== (before.length === 0)) throw new Error('refuses only when nothing fits');
            if (block) taken.push(block);
          } else if (taken.length > 0) {
            allocator.give(taken.splice(-step % taken.length, 1)[0]!);
          }
          check(allocator, taken);
        }
        for (const block of taken) allocator.give(block);
        expect(allocator.freeBytes).toBe(total);
        expect(allocator.freeBlocks.map((block) => block.length)).toEqual(REGIONS.map((region) => region.length));
        expect(allocator.freeBlocks.every((block) => coversRegion(block as Block))).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('takes the smallest block that fits, and of equal ones the lowest', () => {
    const allocator = new Allocator();
    const region = {};
    allocator.add(region, 0, 64 * 100);
    const blocks = [3, 1, 2, 1, 5, 1].map((units) => allocator.take(64 * units)!);
    // holes of 3, 2 and 5 units, kept apart by the blocks of 1
    for (const i of [0, 2, 4]) allocator.give(blocks[i]!);
    expect(allocator.take(100)!.address).toBe(blocks[2]!.address);
    expect(allocator.take(64)!.address).toBe(blocks[0]!.address);
    expect(allocator.take(64)!.address).toBe(blocks[0]!.address + 64);
    expect(allocator.take(64 * 5)!.address).toBe(blocks[4]!.address);
  });

  test('a region can grow at its end, joined to a free last block', () => {
    const allocator = new Allocator();
    allocator.add({}, 64, 64 * 4);
    const first = allocator.take(64 * 3)!;
    allocator.extend(first.next!, 64 * 10);
    expect(allocator.largest).toBe(64 * 11);
    const rest = allocator.take(64 * 11)!;
    expect(rest.next).toBeUndefined();
    allocator.extend(rest, 64);
    expect(allocator.freeBytes).toBe(64);
    allocator.give(first);
    allocator.give(rest);
    expect(allocator.freeBlocks).toHaveLength(1);
    expect(allocator.largest).toBe(64 * 15);
  });

  test('a dropped region is not handed out again', () => {
    const allocator = fresh();
    const block = allocator.freeBlocks.find((free) => free.region === REGIONS[1]) as Block;
    allocator.drop(block);
    expect(allocator.take(64 * 41)).toBeUndefined();
    expect(allocator.freeBytes).toBe(REGIONS[0].length);
  });

  test('ten thousand live blocks stay cheap enough to churn', () => {
    const allocator = new Allocator();
    allocator.add({}, 0, 64 * 40_000);
    const blocks = Array.from({ length: 20_000 }, (_, i) => allocator.take(64 * (1 + (i % 3)))!);
    for (let i = 0; i < blocks.length; i += 2) allocator.give(blocks[i]!);
    for (let i = 0; i < blocks.length; i += 2) blocks[i] = allocator.take(64 * (1 + (i % 3)))!;
    for (const block of blocks) allocator.give(block);
    expect(allocator.freeBlocks).toHaveLength(1);
  });
});
