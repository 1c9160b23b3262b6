// Just enough of the ONNX protobuf schema (onnx.proto3) to write a graph of float32 tensors.

type Field = [number: number, value: number | string | Uint8Array];

const FLOAT = 1; // TensorProto.DataType
const ATTRIBUTE_FLOAT = 1; // AttributeProto.AttributeType
const ATTRIBUTE_INT = 2;

function varint(value: number): number[] {
  const bytes = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  return bytes;
}

/** Integers become varints, strings and nested messages length-delimited fields. */
function message(...fields: readonly Field[]): Uint8Array {
  const parts = fields.flatMap(([number, value]): Uint8Array[] => {
    if (typeof value === 'number') return [Uint8Array.from([...varint(number * 8), ...varint(value)])];
    const payload = typeof value === 'string' ? new TextEncoder().encode(value) : value;
    return [Uint8Array.from([...varint(number * 8 + 2), ...varint(payload.length)]), payload];
  });
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function valueInfo(name: string, shape: readonly number[]): Uint8Array {
  const dims = shape.map((size): Field => [1, message([1, size])]);
  const tensorType = message([1, FLOAT], [2, message(...dims)]);
  return message([1, name], [2, message([1, tensorType])]);
}

export interface Node {
  readonly type: string;
  readonly domain: '' | 'com.microsoft';
  readonly inputs: readonly string[];
  readonly output: string;
  /** Whole numbers are written as ints, others as floats. */
  readonly attributes?: Readonly<Record<string, number>>;
}

export interface Graph {
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  /** Tensors that are part of the model. */
  readonly weights?: Readonly<Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>>;
  readonly nodes: readonly Node[];
  /** Of the tensor `out`. */
  readonly output: readonly number[];
}

function attribute([name, value]: readonly [string, number]): Field {
  if (Number.isInteger(value)) return [5, message([1, name], [3, value], [20, ATTRIBUTE_INT])];
  // field 2 is a float of 4 bytes
  const float = new Uint8Array(Float32Array.of(value).buffer);
  const bytes = message([1, name], [20, ATTRIBUTE_FLOAT]);
  return [5, Uint8Array.from([...bytes, 2 * 8 + 5, ...float])];
}

function initializer(name: string, shape: readonly number[], { buffer, byteOffset, byteLength }: Float32Array): Field {
  const raw = new Uint8Array(buffer, byteOffset, byteLength);
  return [5, message(...shape.map((size): Field => [1, size]), [2, FLOAT], [8, name], [9, raw])];
}

/** The bytes of an ONNX model with float32 inputs by name and one output named `out`. */
export function model({ inputs, weights = {}, nodes, output }: Graph): Uint8Array {
  const encoded = nodes.map((node): Field => {
    const names = node.inputs.map((name): Field => [1, name]);
    const attributes = Object.entries(node.attributes ?? {}).map(attribute);
    return [1, message(...names, [2, node.output], [4, node.type], ...attributes, [7, node.domain])];
  });
  const graph = message(
    ...encoded,
    [2, 'graph'],
    ...Object.entries(weights).map(([name, { shape, data }]) => initializer(name, shape, data)),
    ...Object.entries(inputs).map(([name, shape]): Field => [11, valueInfo(name, shape)]),
    [12, valueInfo('out', output)],
  );
  const opsets = [message([1, ''], [2, 17]), message([1, 'com.microsoft'], [2, 1])];
  return message([1, 8], [7, graph], ...opsets.map((opset): Field => [8, opset]));
}
