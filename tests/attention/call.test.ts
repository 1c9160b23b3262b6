import { describe, expect, test } from 'vitest';
import { checkCall, ownOptions, projectionShapes, settle } from '../../src/attention/call.js';
import { flash, linformer, longformer, performer } from '../../src/attention/index.js';
import type { AttentionShape } from '../../src/attention/options.js';
import { CapabilityError, OptionError, ShapeError } from '../../src/core/errors.js';
import type { Device } from '../../src/devices/index.js';
import { causal } from '../../src/masks/index.js';
import { softcap } from '../../src/scores/index.js';
import { scope, zeros, type Tensor } from '../../src/tensor/index.js';
import { onWebAssemblyFirst } from '../support/devices.js';

const shape: AttentionShape = { B: 2, H: 4, G: 2, L: 6, S: 6, D: 8, E: 8 };
const of = (device: Device, which: 'q' | 'k' | 'v', own = shape): Tensor =>
  zeros(projectionShapes(own)[which], { device });

test('the options of a call are its own and the mechanism’s', () => {
  expect(ownOptions({ causal: true, radius: 3, lengths: [1], scale: 2 })).toEqual({ radius: 3 });
  const { values, causal: later, seed } = settle(longformer.definition, { ...shape, G: 4 }, { radius: 3 });
  expect([values.radius, later, seed]).toEqual([3, false, 0]);
});

test('what has a causal form only is causal where nothing is said', () => {
  const only = { ...flash.definition, supports: { ...flash.definition.supports, causal: 'only' as const } };
  expect(settle(only, shape, {}).causal).toBe(true);
  expect(() => settle(only, shape, { causal: false })).toThrow('it has a causal form only');
});

describe('a refusal has every reason, in the class of the first kind', () => {
  test.each<
    [
      string,
      typeof performer.definition,
      Partial<AttentionShape>,
      Record<string, unknown>,
      RegExp[],
      new (m: string) => Error,
    ]
  >([
    [
      'options and what they are of',
      flash.definition as never,
      {},
      { scale: 'a', seed: -1, lengths: [7, 1], sclae: 2 },
      [/scale must be/, /seed must be/, /lengths must be 2 whole numbers from 1 to 6, one a batch row; got/, /sclae/],
      OptionError,
    ],
    [
      'a mechanism that cannot',
      performer.definition,
      {},
      { score: softcap(3), mask: causal() },
      [/it takes no mask: it does not compare pair by pair/, /it takes no change of scores/],
      CapabilityError,
    ],
    [
      'heads and lengths that do not fit it',
      linformer.definition as never,
      { G: 2, L: 5 },
      { causal: true },
      [/as many queries as keys; got L=5 and S=6|no causal form/],
      CapabilityError,
    ],
    [
      'global tokens where there are none, and beside causal',
      flash.definition as never,
      {},
      { globalTokens: [[0], [1]], causal: true },
      [/no global tokens that a call names/, /are for attention to both sides/],
      CapabilityError,
    ],
    [
      'global tokens twice',
      longformer.definition as never,
      { G: 4 },
      { globalTokens: [[0, 0], [1]] },
      [/globalTokens must be 2 lists of different whole numbers from 0 to 5/],
      OptionError,
    ],
  ])('%s', (_, definition, own, given, reasons, kind) => {
    const call = (): unknown => settle(definition, { ...shape, ...own }, given);
    expect(call).toThrow(kind);
    for (const reason of reasons) expect(call).toThrow(reason);
    expect(call).toThrow(/\(B=2, H=4, G=[24], L=[56], S=6\)\.$/);
  });
});

onWebAssemblyFirst((on) => {
  const heads = () => ({ q: of(on.device, 'q'), k: of(on.device, 'k'), v: of(on.device, 'v') });

  test('tensors give the shape, and all of theirs that do not fit are named at once', () => {
    scope(() => {
      const { device } = on;
      const { q, k, v } = heads();
      expect(checkCall(flash.definition, { q, k, v }, {}).shape).toEqual(shape);
      const long = of(device, 'k', { ...shape, S: 7 });
      expect(() => checkCall(flash.definition, { q, k: long, v }, {})).toThrow(ShapeError);
      const own = { parameters: { projection: zeros([3, 3], { device }) } };
      expect(() => checkCall(performer.definition, { q, k, v }, own)).toThrow(
        /parameters\.projection must be \[\d+,8\]; got \[3,3\]/,
      );
      const unknown = { parameters: { projektion: zeros([3, 3], { device }) } };
      expect(() => checkCall(performer.definition, { q, k, v }, unknown)).toThrow(/projektion/);
    });
  });

  test('tensors of whole numbers are refused, and bags that are none', () => {
    scope(() => {
      const { device } = on;
      const { q, k, v } = heads();
      const bytes = zeros(projectionShapes(shape).q, { device, dtype: 'u8' });
      expect(() => checkCall(flash.definition, { q: bytes, k, v }, {})).toThrow('q must be f32, f16 or bf16; got u8');
      expect(() => checkCall(flash.definition, { q, k, v }, { parameters: 3 })).toThrow(/an object of tensors by name/);
      expect(() => checkCall(flash.definition, { q, k, v }, { state: { sums: 1 } })).toThrow(
        'state.sums must be a tensor',
      );
    });
  });
});
