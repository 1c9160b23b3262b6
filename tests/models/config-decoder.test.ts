import { describe, expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import { decoderOf, encoderOf } from '../../src/models/config-decoder.js';
import { everyLayer } from '../../src/models/config-layers.js';
import { createModel, layersOf, readConfig } from '../../src/models/index.js';

const kind = 'encoder-decoder';
const base = { kind, width: 16, heads: 2, layers: 2, length: 8 };

describe('decoder of a configuration', () => {
  test('absent, both halves are alike, and the configuration is as it was', () => {
    const config = readConfig({ ...base, position: 't5' });
    expect(config).not.toHaveProperty('decoder');
    expect(decoderOf(config)).toEqual({ ...config, kind: 'decoder' });
    expect(encoderOf(config)).toEqual({ ...config, kind: 'encoder' });
  });

  test('sections change one by one, and what is read is read again as it is', () => {
    const config = readConfig({
      ...base,
      norm: { kind: 'layer', epsilon: 1e-6 },
      feedForward: { hidden: 24, activation: 'relu' },
      decoder: { layers: 3, heads: 4, norm: { place: 'post' }, feedForward: { hidden: 12 }, length: 5, position: 't5' },
    });
    const decoder = decoderOf(config);
    expect(decoder).toMatchObject({
      kind: 'decoder',
      width: 16,
      layers: 3,
      heads: 4,
      kvHeads: 4,
      headDim: 4,
      length: 5,
      norm: { kind: 'layer', epsilon: 1e-6, place: 'post' },
      feedForward: { hidden: 12, activation: 'relu' },
      position: { method: 't5' },
    });
    expect(encoderOf(config)).toMatchObject({ layers: 2, heads: 2, headDim: 8, norm: { place: 'pre' }, length: 8 });
    expect(readConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  test('a section that the decoder sets is of all its layers; a pattern of its own replaces the other', () => {
    const pattern = [
      { mechanism: { name: 'sliding-window', options: { radius: 2 } } },
      { mechanism: 'flash', feedForward: { name: 'switch', options: { experts: 2 } } },
    ];
    const names = (decoder: object): (readonly [string, string])[] => {
      const config = readConfig({ ...base, pattern, decoder });
      expect(readConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
      return layersOf(decoderOf(config)).map((layer) => [layer.mechanism.name, layer.feedForward.name] as const);
    };
    expect(names({ layers: 3 })).toEqual([
      ['sliding-window', 'dense'],
      ['flash', 'switch'],
      ['sliding-window', 'dense'],
    ]);
    expect(names({ mechanism: 'flash' })).toEqual([
      ['flash', 'dense'],
      ['flash', 'switch'],
    ]);
    expect(names({ mechanism: 'flash', feedForward: 'dense' })).toEqual([
      ['flash', 'dense'],
      ['flash', 'dense'],
    ]);
    expect(names({ layers: [{}, { mechanism: 'flash' }], mechanism: 'strided' })).toEqual([
      ['strided', 'dense'],
      ['flash', 'dense'],
    ]);
  });

  test('what changes every layer changes those of the decoder', () => {
    const config = everyLayer(readConfig({ ...base, decoder: { layers: [{}, {}, {}] } }), () => ({
      residual: { kind: 'checkpointed', every: 1 },
    }));
    for (const layer of layersOf(decoderOf(config))) expect(layer.residual.kind).toBe('checkpointed');
  });

  test('what cannot be is refused, with every reason', () => {
    const refused = (decoder: unknown, message: string | RegExp, own: object = {}): void => {
      const make = (): unknown => readConfig({ ...base, ...own, decoder });
      expect(make).toThrow(OptionError);
      expect(make).toThrow(message);
    };
    refused({}, 'decoder is of kind "encoder-decoder"; got kind "decoder"', { kind: 'decoder' });
    refused({ width: 8, tied: false, hidden: 3 }, /width and tied is of the whole model: .*; unknown option "hidden"/);
    refused([], 'decoder');
    refused({ heads: 3 }, /decoder: .*width 16 is no multiple of heads 3/);
    refused({ position: 'rope', headDim: 3 }, /decoder: .*even headDim/);
    refused({ mechanism: 'linformer' }, /decoder: .*causal/);
    refused({ layers: [{ mechanism: 'linformer' }] }, /decoder: layer 0 of the pattern: .*causal/);
    refused({ residual: 'reversible' }, 'without cross-attention');
    refused({ pooling: 'mean' }, 'pooling');
    // the decoder that is as the encoder is looked at too
    expect(() => readConfig({ ...base, mechanism: 'linformer' })).toThrow(/decoder: .*causal/);
    expect(() =>
      createModel(readConfig({ ...base, mechanism: 'linformer', decoder: { mechanism: 'flash' } })),
    ).not.toThrow();
  });
});
