import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = process.env['CHROMIUM'] ?? PLACES.find((path) => existsSync(path));

/** Why nothing can run in Chromium, or undefined where it can. */
export const missing =
  executablePath === undefined ? 'no Chromium here: install it, or name it in the variable CHROMIUM' : undefined;

// a test machine has neither a sandbox for root nor a network
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** What a server says of a page, and of what the page loads. */
export type Headers = Readonly<Record<string, string>>;

/** Threads need these. */
export const ISOLATED: Headers = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
};

/** A content security policy that allows nothing but scripts from `script`, and no workers but those from `worker`. */
export const policy = (script: string, worker = "'self'"): Headers => ({
  'content-security-policy': `default-src 'none'; script-src ${script}; worker-src ${worker}; connect-src 'self'; img-src data:`,
});

const TYPES: Headers = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
  '.txt': 'text/plain',
};

export interface Page {
  /**
   * Serves `folder` with `headers`, and loads in a page, or in a module worker of one, the module `script` of it, which exports
   * `main`. Returns what `main` gives, as JSON holds it.
   *
   * @throws what `main` throws, or the page.
   */
  run(folder: string, script: string, options?: PageOptions): Promise<unknown>;
}
export interface PageOptions {
  readonly headers?: Headers;
  readonly worker?: boolean;
  /** Handed to `main`. */
  readonly argument?: unknown;
}

interface Outcome {
  readonly result?: unknown;
  readonly error?: string;
}

/** Has WebGPU run on the processor, by the driver that Chromium brings. */
export const SOFTWARE_GPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'];

/** A headless Chromium for the tests of the file. */
export function openChromium(more: readonly string[] = []): Page {
  let browser: Browser;
  beforeAll(async () => {
    const args = [...ARGUMENTS, ...more];
    if (missing === undefined) browser = await chromium.launch({ executablePath: executablePath!, args });
  });
  afterAll(() => browser?.close());
  return { run: (folder, script, options = {}) => run(browser, folder, script, options) };
}

// neither inline scripts nor eval: the page may have a strict content security policy
const HTML = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>';
const scriptOf = (script: string, { worker = false, argument }: PageOptions): Readonly<Record<string, string>> => {
  const answer = `try { tell({ result: await (await import('/${script}')).main(${JSON.stringify(argument)}) }); }
    catch (error) { tell({ error: String(error?.stack ?? error) }); }`;
  return {
    '/': HTML,
    '/page.js': worker
      ? `const worker = new Worker('/worker.js', { type: 'module' });
         worker.onerror = ({ message }) => report({ error: message ?? 'the worker did not start' });
         worker.onmessage = ({ data }) => report(data);`
      : `const tell = report; ${answer}`,
    '/worker.js': `const tell = (data) => postMessage(data); ${answer}`,
  };
};

async function run(browser: Browser, folder: string, script: string, options: PageOptions): Promise<unknown> {
  const { headers = {} } = options;
  const own = scriptOf(script, options);
  const server = createServer(({ url = '/' }, response) => {
    const path = decodeURIComponent(url.split('?', 1)[0]!);
    const file = join(folder, path);
    const type = TYPES[path === '/' ? '.html' : extname(path)] ?? 'application/octet-stream';
    const found = Object.hasOwn(own, path) ? own[path]! : existsSync(file) ? readFileSync(file) : undefined;
    response.writeHead(found === undefined ? 404 : 200, { 'content-type': type, ...headers }).end(found);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const page = await browser.newPage();
  try {
    let report: (outcome: Outcome) => void;
    const outcome = new Promise<Outcome>((resolve) => (report = resolve));
    page.on('pageerror', (error) => report({ error: String(error) }));
    page.on('crash', () => report({ error: 'the page crashed' }));
    await page.exposeFunction('report', (outcome: Outcome) => report(outcome));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const { result, error } = await outcome;
    if (error !== undefined) throw new Error(error);
    return result;
  } finally {
    await page.close();
    server.close();
    server.closeAllConnections();
  }
}
