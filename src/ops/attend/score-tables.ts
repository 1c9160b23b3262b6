import { hostData, tableOf, type Table } from '../../codegen/expression/index.js';
import { OptionError, ShapeError } from '../../core/errors.js';
import { show, sizeOf } from '../../core/shape.js';
import { tableSlot } from '../../kernels/attend/spec.js';
import type { Device } from '../../devices/device.js';
import { storageOf, Tensor } from '../../tensor/tensor.js';

/** As many dimensions as `tableSlot` has room for. */
const mostTableAxes = (tableSlot - 8) / 4;

/**
 * Refuses a table that kernels cannot read, or whose source does not hold what it says: they would read what lies beyond.
 *
 * @throws ShapeError for other sizes; OptionError for what is not a tensor, was disposed, or lies on another device.
 */
export function checkTable(table: Table, device: Device): void {
  const { name, dtype, shape, source } = table;
  if (shape.length > mostTableAxes)
    throw new ShapeError(
      `attend: the table "${name}" has ${shape.length} dimensions; at most ${mostTableAxes}. Reshape it.`,
    );
  const data = hostData(table);
  const own = data === undefined ? (source instanceof Tensor ? source : undefined) : tableOf(name, data);
  if (own !== undefined && (own.dtype !== dtype || sizeOf(own.shape) !== sizeOf(shape))) {
    throw new ShapeError(
      `attend: the table "${name}" says ${dtype}${show(shape)}, but holds ${own.dtype}${show(own.shape)}.`,
    );
  }
  if (data === undefined) addressOf(table, device);
}

/** Where a kernel finds the tensor of a table: it reads it by this address alone. */
export function addressOf({ name, source }: Table, device: Device): number {
  const who = `attend: the score reads "${name}"`;
  if (!(source instanceof Tensor)) {
    throw new OptionError(`${who}, which is no tensor; make one with tensor(data, shape).`);
  }
  const { buffer } = storageOf(source, who);
  if (source.device === device) return buffer.address;
  throw new OptionError(
    `${who}, a tensor on another device (${source.device.info.kind}) than the queries (${device.info.kind}); ` +
      'copy it with tensor(await x.data(), …).',
  );
}
