import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { reshape, transpose } from '../../src/ops/index.js';
import { rotatePairs } from '../../src/positions/index.js';
import { scope, tensor } from '../../src/tensor/index.js';
import { turn } from '../oracles/positions.js';
import { budgetOf, expectClose } from '../support/compare.js';
import { onEveryDevice } from '../support/devices.js';
import { exact } from '../support/operation.js';
import { readSafetensors } from '../support/safetensors.js';

// RotaryEmbedding of ONNX 1.23, by its own generator; cosines and sines are random there, so that nothing can be guessed
const folder = new URL('../fixtures/positions/', import.meta.url);
const stored = readSafetensors(new URL('rotary.safetensors', folder));
const cases = JSON.parse(readFileSync(new URL('cases.json', folder), 'utf8')) as readonly {
  readonly name: string;
  readonly interleaved?: number;
  readonly num_heads?: number;
}[];

/** The parts of a case: a row of angles for each entry and query, and x as `[B, H, L, D]` or, with heads, `[B, L, H·D]`. */
function read({ name, interleaved, num_heads: heads }: (typeof cases)[number]) {
  const [x, cos, sin, out] = ['input', 'cos_cache', 'sin_cache', 'output'].map((part) => stored[`${name}.${part}`]!);
  const [B, L] = [x!.shape[0]!, x!.shape.at(-2)!];
  const pairs = cos!.shape.at(-1)!;
  // ONNX reads rows of a cache by position ids; without them the cache has a row for each entry and query
  const rows = stored[`${name}.position_ids`]?.data ?? Array.from({ length: B * L }, (_, i) => i);
  const angles = Array.from(rows, (row) =>
    [cos!, sin!].flatMap(({ data }) => Array.from({ length: pairs }, (_, i) => data[row * pairs + i]!)),
  );
  const layout = interleaved === 1 ? ('interleaved' as const) : ('half' as const);
  return { x: x!, out: out!, B, L, H: heads ?? x!.shape[1]!, packed: heads !== undefined, pairs, angles, layout };
}

onEveryDevice((on) => {
  describe('rotatePairs', () => {
    it('has 8 cases', () => expect(cases).toHaveLength(8));

    it.each(cases)('$name', async (one) => {
      const { x, out, B, L, H, packed, pairs, angles, layout } = read(one);
      const D = x.data.length / (B * H * L);
      const got = scope(() => {
        const given = tensor(x.data, x.shape, { device: on.device });
        const table = tensor(angles.flat(), [B, L, 2 * pairs], { device: on.device });
        if (!packed) return rotatePairs(given, table, { layout });
        const heads = transpose(reshape(given, [B, L, H, D]), [0, 2, 1, 3]);
        return reshape(transpose(rotatePairs(heads, table, { layout }), [0, 2, 1, 3]), x.shape);
      });
      const values = await got.data();
      got.dispose();

      const entry = (row: number): number => Math.floor(row / (H * L)) * L;
      const query = (row: number): number => (packed ? Math.floor((row % (H * L)) / H) : row % L);
      const at = (from: number) => (row: number, i: number) => angles[entry(row) + query(row)]![from + i]!;
      const problem = { layout, rows: B * H * L, columns: D, turned: 2 * pairs, cos: at(0), sin: at(pairs) };
      const [oracle, plain] = [turn(exact, problem, x.data), turn(Math.fround, problem, x.data)];
      expectClose(`${one.name}: the test's own formula`, oracle, out.data, { budget: budgetOf(oracle, plain) });
      expectClose(one.name, values, out.data, { budget: budgetOf(oracle, plain) });
    });
  });
});
