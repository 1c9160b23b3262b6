import { describe, test } from 'vitest';
import { loadPretrained, runPretrained, type HostArray, type Outputs } from '../../../src/pretrained/index.js';
import { disposeAll } from '../../../src/tensor/index.js';
import { budgetOf, expectClose } from '../../support/compare.js';
import { onWebAssemblyFirst } from '../../support/devices.js';
import { goldenFolder, goldenOf } from '../golden.js';

/** Half of what steps that stayed in float32 leave in the goldens. */
const GAP = 5e-6;
/** Where tokens of the golden text go: behind padding, and around holes. */
const layouts = {
  'padding in front': (length: number) => Array.from({ length }, (_, i) => i + 5),
  'padding in front and behind': (length: number) => Array.from({ length }, (_, i) => i + 3),
} as const;
const extra = 8;

/** The first text of a golden folder, its tokens moved, the rest of the row padding: every result at real tokens as published. */
async function moved(folder: string, places: readonly number[], on: Parameters<typeof runIn>[1]): Promise<void> {
  const golden = await goldenOf(folder);
  const row = ({ data, shape }: HostArray): number[] => Array.from(data).slice(0, shape[1]);
  const ids = row(golden.get('in.input_ids')!);
  const given = golden.get('in.attention_mask');
  const real = given ? row(given).map(Boolean) : ids.map(() => true);
  const length = ids.length + extra;
  const laid = (values: readonly number[], otherwise: number): HostArray => {
    const data = new Array<number>(length).fill(otherwise);
    values.forEach((value, i) => real[i] && (data[places[i]!] = value));
    return { data, shape: [1, length] };
  };
  const globals = golden.get('in.global_attention_mask');
  const inputs = {
    input_ids: laid(ids, 1),
    attention_mask: laid(
      ids.map(() => 1),
      0,
    ),
    ...(globals && { global_attention_mask: laid(row(globals), 0) }),
  };
  await runIn(folder, on, inputs, async (outputs) => {
    for (const [name, want] of golden) {
      const found = outputs[name.slice(4)];
      if (!name.startsWith('out.') || found === undefined) continue;
      const size = want.shape[2]!;
      const at = (data: ArrayLike<number>, i: number): number[] =>
        Array.from({ length: size }, (_, c) => data[i * size + c]!);
      const all = await found.data();
      const which = ids.flatMap((_, i) => (real[i] ? [i] : []));
      const oracle = which.flatMap((i) => at(want.data, i));
      const got = which.flatMap((i) => at(all, places[i]!));
      expectClose(name, got, oracle, { budget: budgetOf(oracle) + 2 * GAP });
    }
  });
}

async function runIn(
  folder: string,
  { device }: { readonly device: Parameters<typeof loadPretrained>[1]['device'] },
  inputs: Readonly<Record<string, HostArray>>,
  look: (outputs: Outputs) => Promise<void>,
): Promise<void> {
  const loaded = await loadPretrained(folder, { device });
  const outputs = runPretrained(loaded, inputs);
  await look(outputs);
  disposeAll(outputs);
  loaded.model.dispose();
}

describe('padding of published encoders', () => {
  onWebAssemblyFirst((on) => {
    // those whose positions do not count padding
    for (const name of ['roberta', 'longformer_globals', 'modernbert']) {
      const folder = goldenFolder(name);
      const here = folder === undefined ? test.skip : test;
      for (const [layout, places] of Object.entries(layouts)) {
        here(`${name}: ${layout} changes no result`, () => moved(folder!, places(64), on));
      }
    }

    const folder = goldenFolder('longformer_globals');
    (folder === undefined ? test.skip : test)('Longformer: rows of padding are as published, too', async () => {
      const golden = await goldenOf(folder!);
      const inputs = Object.fromEntries(
        [...golden].filter(([name]) => name.startsWith('in.')).map(([name, x]) => [name.slice(3), x]),
      );
      await runIn(folder!, on, inputs, async (outputs) => {
        for (const name of ['hidden_states.1', 'hidden_states.2', 'logits']) {
          const want = golden.get(`out.${name}`)!.data;
          expectClose(name, await outputs[name]!.data(), want, { budget: budgetOf(want) + 2 * GAP });
        }
      });
    });
  });
});
