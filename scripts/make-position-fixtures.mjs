// Writes tests/fixtures/positions from the reference set: node scripts/make-position-fixtures.mjs [../shared/golden]
// One file with the tensors of every RotaryEmbedding case, bit for bit, positions as i32; cases.json holds the attributes.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const from = join(process.argv[2] ?? '../shared/golden', 'onnx/RotaryEmbedding');
const to = 'tests/fixtures/positions';

/** A NumPy file of little-endian f4 or i8 numbers in row-major order. */
function readNpy(path) {
  const file = readFileSync(path);
  const start = 10 + file.readUInt16LE(8);
  const header = file.toString('latin1', 10, start);
  const kind = /'descr': '<(f4|i8)'/.exec(header)?.[1];
  if (file[6] !== 1 || kind === undefined || header.includes("'fortran_order': True")) {
    throw new Error(`${path}: only version 1, f4 or i8, row-major; got ${header}`);
  }
  const shape = [.../'shape': \(([^)]*)\)/.exec(header)[1].matchAll(/\d+/g)].map(Number);
  const body = Buffer.from(file.subarray(start));
  if (kind === 'f4') return { dtype: 'F32', shape, bytes: body };
  const positions = Int32Array.from({ length: body.length / 8 }, (_, i) => Number(body.readBigInt64LE(8 * i)));
  return { dtype: 'I32', shape, bytes: Buffer.from(positions.buffer) };
}

const header = {};
const cases = [];
const parts = [];
let end = 0;
for (const name of readdirSync(from).sort()) {
  const { attributes, inputs, outputs } = JSON.parse(readFileSync(join(from, name, 'case.json'), 'utf8'));
  cases.push({ name, ...attributes });
  for (const tensor of [...inputs, ...outputs]) {
    const { dtype, shape, bytes } = readNpy(join(from, name, tensor.file));
    header[`${name}.${tensor.name}`] = { dtype, shape, data_offsets: [end, (end += bytes.length)] };
    parts.push(bytes);
  }
}
let text = JSON.stringify(header);
text += ' '.repeat((8 - (text.length % 8)) % 8);
const length = Buffer.alloc(8);
length.writeBigUInt64LE(BigInt(text.length));
mkdirSync(to, { recursive: true });
writeFileSync(join(to, 'rotary.safetensors'), Buffer.concat([length, Buffer.from(text), ...parts]));
writeFileSync(join(to, 'cases.json'), `${JSON.stringify(cases, null, 2)}\n`);
