import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { bundlers } from './bundlers.js';
import { type Headers, ISOLATED, missing, openChromium, policy } from './chromium.js';
import { installed } from './installed.js';

const folder = installed();
const chromium = openChromium();

beforeAll(async () => {
  writeFileSync(
    join(folder, 'place.mjs'),
    `import { createDevice } from 'subquad';
     import { run } from './app.mjs';
     export const main = ({ kind, ...options }) =>
       kind === 'refused' ? createDevice(options).then(({ info }) => info, (error) => \`\${error.name}: \${error.message}\`) : run(options);`,
  );
  await bundlers['esbuild']!(join(folder, 'place.mjs'), join(folder, 'place.js'));
  await bundlers['esbuild']!(join(folder, 'text.mjs'), join(folder, 'text.js'));
});

interface Outcome {
  readonly threads: number;
  readonly reasons: readonly string[];
  readonly results: unknown;
}
const run = async (headers: Headers, worker: boolean, options: object = {}): Promise<Outcome> =>
  (await chromium.run(folder, 'place.js', { headers, worker, argument: options })) as Outcome;
const refusal = (headers: Headers, options: object = {}): Promise<unknown> =>
  chromium.run(folder, 'place.js', { headers, argument: { kind: 'refused', ...options } });

describe.skipIf(missing)(`places in Chromium${missing === undefined ? '' : ` (${missing})`}`, () => {
  test.each([false, true])(
    'isolated, in a worker: %s: the threads of the machine, and the bits of one',
    async (worker) => {
      const many = await run(ISOLATED, worker);
      expect(many.reasons.join(' ')).toMatch(/threads: \d+, the browser's hardwareConcurrency\./);
      const one = await run({}, worker);
      expect(one.threads).toBe(1);
      expect(one.reasons.join(' ')).toContain(
        'threads: 1, because this page is not cross-origin isolated; serve it with',
      );
      expect(many.results).toEqual(one.results);
    },
  );

  test.each([false, true])('workers that a policy blocks, in a worker: %s: one thread, and why', async (worker) => {
    const headers = { ...ISOLATED, ...policy("'self' 'wasm-unsafe-eval'") };
    const { threads, reasons } = await run(headers, worker);
    expect(threads).toBe(1);
    expect(reasons.join(' ')).toMatch(/threads: 1, because worker 1 of \d+ ended: .*worker-src blob:/);
  });

  test('threads that were asked for are not replaced by one', async () => {
    const headers = { ...ISOLATED, ...policy("'self' 'wasm-unsafe-eval'") };
    expect(await refusal(headers, { threads: 2 })).toMatch(
      /^DeviceError: createDevice: worker 1 of 1 ended: .*worker-src/,
    );
    expect(await refusal({}, { threads: 2 })).toMatch(/^CapabilityError: createDevice: 2 threads asked; /);
  });

  test('workers that a policy allows run', async () => {
    const headers = { ...ISOLATED, ...policy("'self' 'wasm-unsafe-eval'", 'blob:') };
    expect((await run(headers, false, { threads: 2 })).threads).toBe(2);
  });

  test('a policy without wasm-unsafe-eval is named', async () => {
    expect(await refusal(policy("'self'"))).toMatch(
      /^CapabilityError: createDevice: this page may not compile WebAssembly .*add 'wasm-unsafe-eval' to script-src/,
    );
  });

  test('the model of the package, from an address, an answer and a file, goes on as in Node', async () => {
    const assets = 'node_modules/subquad/assets/model.safetensors';
    const { main } = (await import(pathToFileURL(join(folder, 'text.mjs')).href)) as {
      main: (from: object) => Promise<string>;
    };
    const want = await main({ weights: pathToFileURL(join(folder, assets)).href, from: 'address' });
    for (const from of ['address', 'answer', 'file']) {
      const argument = { weights: `/${assets}`, from };
      expect(await chromium.run(folder, 'text.js', { argument }), from).toBe(want);
    }
  });
});
