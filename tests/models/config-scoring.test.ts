import { describe, expect, test } from 'vitest';
import { OptionError } from '../../src/core/errors.js';
import { layersOf, readConfig } from '../../src/models/index.js';

const base = { width: 16, heads: 2, layers: 2, length: 8 };
const read = (json: object) => readConfig({ ...base, ...json });

describe('what published decoders have, in a configuration', () => {
  test('what is absent is not written', () => {
    const config = read({});
    expect(config).not.toHaveProperty('attention');
    expect(Object.keys(config.norm)).toEqual(['kind', 'place', 'epsilon']);
    expect(Object.keys(config.residual)).toEqual(['kind', 'every']);
    expect(config.feedForward).not.toHaveProperty('bias');
  });

  test('a layer changes one key of attention and keeps the others; what is read is read again as it is', () => {
    const config = read({
      attention: { scale: 0.5, softcap: 30 },
      bias: 'qkv',
      residual: { kind: 'plain', parallel: 'two' },
      pattern: [{}, { attention: { sinks: true }, position: { method: 'rope', base: 500, rotary: 4 } }],
    });
    const [first, second] = layersOf(config);
    expect(first!.attention).toEqual({ scale: 0.5, softcap: 30 });
    expect(second!.attention).toEqual({ scale: 0.5, softcap: 30, sinks: true });
    expect(second!.position).toEqual({ method: 'rope', base: 500, rotary: 4 });
    expect(readConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
  });

  test.each<[string, object, RegExp]>([
    [
      'parallel branches that are reversible',
      { residual: { kind: 'reversible', parallel: 'one' } },
      /parallel is not for residual "reversible"/,
    ],
    [
      'parallel branches with norms behind',
      { residual: { kind: 'plain', parallel: 'one' }, norm: { place: 'branch' } },
      /parallel takes norm.place "pre"; got "branch"/,
    ],
    [
      'parallel branches beside an encoder',
      { kind: 'encoder-decoder', residual: { kind: 'plain', parallel: 'one' } },
      /for kinds decoder and encoder; got encoder-decoder/,
    ],
    ['a bias of an RMS norm', { norm: { kind: 'rms', bias: true } }, /norm.bias is for norms of kind "layer"/],
    [
      'more components that turn than there are',
      { position: { method: 'rope', rotary: 10 } },
      /rotary must be even and at most headDim 8; got 10/,
    ],
    ['an odd number of them', { position: { method: 'rope', rotary: 3 } }, /rotary must be even/],
    [
      'slopes of another method',
      { position: { method: 'rope', exponent: 3 } },
      /position.exponent is for method "alibi"; got method "rope"/,
    ],
    [
      'sinks without a softmax',
      { attention: { sinks: true }, mechanism: 'performer' },
      /attention.sinks are added to the sum of a softmax over pairs, which performer has not; take flash/,
    ],
    [
      'a cap without scores',
      { attention: { softcap: 3 }, mechanism: 'performer' },
      /performer takes no change of scores, so attention.softcap does not work/,
    ],
    [
      'attention of a mixer',
      { attention: { scale: 1 }, kind: 'encoder', mixer: 'fnet' },
      /attention is for layers of attention; got mixer fnet/,
    ],
    [
      'a bias of experts',
      { feedForward: { name: 'switch', bias: true, options: { experts: 2 } } },
      /switch has no use for bias/,
    ],
    ['a word that is none', { bias: 'query' }, /bias must be true, false,.*got "query"/],
  ])('%s', (_, json, message) => {
    expect(() => read(json)).toThrow(OptionError);
    expect(() => read(json)).toThrow(message);
  });
});
