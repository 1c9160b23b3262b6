// Just enough of the ONNX protobuf schema (onnx.proto3) to write a graph of one node.

type Field = [number: number, value: number | string | Uint8Array];

const FLOAT = 1; // TensorProto.DataType
const ATTRIBUTE_INT = 2; // AttributeProto.AttributeType

function varint(value: number): number[] {
  const bytes = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  return bytes;
}

/** Integers become varints, strings and nested messages length-delimited fields. */
function message(...fields: Field[]): Uint8Array {
  const bytes: number[] = [];
  for (const [number, value] of fields) {
    if (typeof value === 'number') {
      bytes.push(...varint(number * 8), ...varint(value));
    } else {
      const payload = typeof value === 'string' ? new TextEncoder().encode(value) : value;
      bytes.push(...varint(number * 8 + 2), ...varint(payload.length), ...payload);
    }
  }
  return Uint8Array.from(bytes);
}

function valueInfo(name: string, shape: readonly number[]): Uint8Array {
  const dims = shape.map((size): Field => [1, message([1, size])]);
  const tensorType = message([1, FLOAT], [2, message(...dims)]);
  return message([1, name], [2, message([1, tensorType])]);
}

export interface Node {
  readonly type: string;
  readonly domain: '' | 'com.microsoft';
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly output: readonly number[];
  readonly attributes?: Readonly<Record<string, number>>;
}

/** The bytes of an ONNX model whose graph is one node, with float32 inputs by name and one output named `out`. */
export function model(node: Node): Uint8Array {
  const names = Object.keys(node.inputs);
  const attributes = Object.entries(node.attributes ?? {}).map(([name, value]): Field => [
    5,
    message([1, name], [3, value], [20, ATTRIBUTE_INT]),
  ]);
  const encoded = message(...names.map((name): Field => [1, name]), [2, 'out'], [4, node.type], ...attributes, [
    7,
    node.domain,
  ]);
  const graph = message(
    [1, encoded],
    [2, node.type],
    ...names.map((name): Field => [11, valueInfo(name, node.inputs[name]!)]),
    [12, valueInfo('out', node.output)],
  );
  const opsets = [message([1, ''], [2, 17]), message([1, 'com.microsoft'], [2, 1])];
  return message([1, 8], [7, graph], ...opsets.map((opset): Field => [8, opset]));
}
