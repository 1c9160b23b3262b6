// Writes tests/fixtures from the full reference set: node scripts/make-fixtures.mjs [../shared/golden]
// Inputs are kept whole; of a large expected tensor some rows are kept, bit for bit, and `<name>.rows` says which.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const from = process.argv[2] ?? '../shared/golden';
const to = 'tests/fixtures';
const bytesOf = { F64: 8, F32: 4, I32: 4, U8: 1 };
const [wholeUpTo, numbersKept, fewestRows] = [1100, 1024, 16];
const independent = ['torch_sdpa_fwd_bwd_full', 'torch_sdpa_fwd_bwd_causal'];

function read(path) {
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, start));
  delete header['__metadata__'];
  return Object.entries(header).map(
    ([
      name,
      {
        dtype,
        shape,
        data_offsets: [low, high],
      },
    ]) => ({
      name,
      dtype,
      shape,
      bytes: file.subarray(start + low, start + high),
    }),
  );
}

function write(path, tensors) {
  const header = {};
  let end = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    header[name] = { dtype, shape, data_offsets: [end, (end += bytes.length)] };
  }
  let text = JSON.stringify(header);
  text += ' '.repeat((8 - (text.length % 8)) % 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([length, Buffer.from(text), ...tensors.map(({ bytes }) => bytes)]));
}

/** The tensor itself, or rows spread evenly over it and their indices. */
function sample(tensor) {
  const size = tensor.shape.reduce((a, b) => a * b, 1);
  if (tensor.dtype !== 'F64' || size <= wholeUpTo) return [tensor];
  const columns = tensor.shape.at(-1);
  const total = size / columns;
  const count = Math.min(total, Math.max(fewestRows, Math.floor(numbersKept / columns)));
  const rows = Int32Array.from({ length: count }, (_, n) => Math.floor(((n + 0.5) * total) / count));
  const rowBytes = columns * bytesOf[tensor.dtype];
  const bytes = Buffer.concat([...rows].map((row) => tensor.bytes.subarray(row * rowBytes, (row + 1) * rowBytes)));
  return [
    { ...tensor, shape: [count, columns], bytes },
    { name: `${tensor.name}.rows`, dtype: 'I32', shape: [count], bytes: Buffer.from(rows.buffer) },
  ];
}

mkdirSync(join(to, 'attend'), { recursive: true });
const cases = JSON.parse(readFileSync(join(from, 'attend/cases.json'), 'utf8'));
writeFileSync(join(to, 'attend/cases.json'), `${JSON.stringify(cases, null, 1)}\n`);
for (const { name } of cases) {
  write(join(to, 'attend', `${name}.safetensors`), read(join(from, 'attend', `${name}.safetensors`)).flatMap(sample));
}
for (const name of independent) {
  write(join(to, 'attend', `${name}.safetensors`), read(join(from, 'misc', `${name}.safetensors`)));
}
