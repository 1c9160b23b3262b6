// Loading a published model against a plain read of its file: time and peak memory, each in a process of its own, in turn.
// After `npm run build`: node bench/pretrained/load.mjs [--device wasm] [--dtype f32|bf16] [--rounds 5] [--threads 2] [--folder FOLDER]
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'native' },
    dtype: { type: 'string', default: 'f32' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    folder: { type: 'string' },
    child: { type: 'string' },
  },
});
const folder = values.folder ?? join(tmpdir(), `subquad-load-${values.dtype}`);
const path = join(folder, 'model.safetensors');

if (values.child === undefined) {
  if (!existsSync(path)) generate();
  const megabytes = statSync(path).size / 1e6;
  const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
  const runs = { read: [], load: [] };
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const name of Object.keys(runs)) {
      const own = ['--device', values.device, '--threads', values.threads, '--folder', folder];
      const line = execFileSync(process.execPath, [import.meta.filename, '--child', name, ...own]);
      runs[name].push(JSON.parse(line));
    }
  }
  for (const [name, list] of Object.entries(runs)) {
    const seconds = median(list.map((one) => one.seconds));
    const peak = median(list.map((one) => one.peak));
    console.log(
      `${name}: ${(1000 * seconds).toFixed(0)} ms, ${(megabytes / seconds / 1000).toFixed(2)} GB/s; ` +
        `peak ${peak.toFixed(0)} MB above the start, ${(peak / megabytes).toFixed(3)} × the ${megabytes.toFixed(0)} MB of the file`,
    );
  }
  const ratio = median(runs.load.map((one, i) => one.seconds / runs.read[i].seconds));
  console.log(`load / read: ${ratio.toFixed(2)}`);
} else if (values.child === 'read') {
  await report(() => readFileSync(path));
} else {
  const { createDevice } = await import('../../dist/index.js');
  const { loadPretrained } = await import('../../dist/pretrained/index.js');
  const device = await createDevice({ kind: values.device, threads: Number(values.threads) });
  // kernels are compiled once and kept: what a first run takes beside is not loading
  await loadPretrained(join(folder, 'small'), { device }).then(({ model }) => model.dispose());
  await report(() => loadPretrained(folder, { device }));
  await device.dispose();
}

async function report(work) {
  const before = process.memoryUsage().rss;
  const start = performance.now();
  const kept = await work();
  const seconds = (performance.now() - start) / 1000;
  const peak = (process.resourceUsage().maxRSS * 1024 - before) / 1e6;
  console.log(JSON.stringify({ seconds, peak, kept: typeof kept }));
}

/** A GPT-2 of 124 million parameters, and one of the same kernels that is small. */
function generate() {
  for (const [where, layers, width, vocabulary] of [
    [folder, 12, 768, 50257],
    [join(folder, 'small'), 1, 128, 256],
  ]) {
    mkdirSync(where, { recursive: true });
    const config = { model_type: 'gpt2', n_layer: layers, n_embd: width, n_head: width / 64, vocab_size: vocabulary };
    writeFileSync(join(where, 'config.json'), JSON.stringify(config));
    const shapes = { 'wte.weight': [vocabulary, width], 'wpe.weight': [1024, width] };
    for (let i = 0; i < layers; i++) {
      const own = {
        ln_1: [[width], [width]],
        'attn.c_attn': [[width, 3 * width], [3 * width]],
        'attn.c_proj': [[width, width], [width]],
        ln_2: [[width], [width]],
        'mlp.c_fc': [[width, 4 * width], [4 * width]],
        'mlp.c_proj': [[4 * width, width], [width]],
      };
      for (const [name, [weight, bias]] of Object.entries(own)) {
        shapes[`h.${i}.${name}.weight`] = weight;
        shapes[`h.${i}.${name}.bias`] = bias;
      }
    }
    Object.assign(shapes, { 'ln_f.weight': [width], 'ln_f.bias': [width] });
    const size = values.dtype === 'f32' ? 4 : 2;
    let end = 0;
    const header = {};
    for (const [name, shape] of Object.entries(shapes)) {
      const begin = end;
      end += size * shape.reduce((a, b) => a * b, 1);
      header[name] = { dtype: values.dtype.toUpperCase(), shape, data_offsets: [begin, end] };
    }
    const text = Buffer.from(JSON.stringify(header).padEnd(8 * Math.ceil(JSON.stringify(header).length / 8)));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    const file = openSync(join(where, 'model.safetensors'), 'w');
    writeSync(file, length);
    writeSync(file, text);
    const block = Buffer.alloc(2 ** 20);
    for (let at = 0; at < end; at += block.length) {
      for (let i = 0; i < block.length; i += size) {
        if (size === 4) block.writeFloatLE(Math.random() - 0.5, i);
        else block.writeUInt16LE(0x3c00 + Math.floor(Math.random() * 256), i);
      }
      writeSync(file, block.subarray(0, Math.min(block.length, end - at)));
    }
    closeSync(file);
  }
}
