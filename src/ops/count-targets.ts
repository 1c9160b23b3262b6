import { constant, select, variable } from '../codegen/expression/index.js';
import { OptionError } from '../core/errors.js';
import { full, scope, type Tensor } from '../tensor/index.js';
import { countedOnHost } from './indices.js';
import { map } from './map.js';
import { sum } from './reduce.js';

const [target, ignored] = [variable('x0', 'i32'), variable('x1', 'i32')];
const counts = select(target.eq(ignored), constant(0, 'f32'), constant(1, 'f32'));

/**
 * How many targets are not `ignore`: a number where the host knows it, else counted on the device, `[]` f32.
 *
 * @throws OptionError where there are none, at once or the next time that something is awaited.
 */
export function countTargets(who: string, targets: Tensor, ignore: number | undefined): number | Tensor {
  const check = (count: number): number => {
    if (count > 0) return count;
    throw new OptionError(
      `${who}: all ${targets.size} targets are ignoreIndex ${ignore}, so there is no mean. Leave the call out.`,
    );
  };
  const known = countedOnHost(targets, ignore);
  if (known !== undefined) return check(known);
  return scope(() => {
    const { device } = targets;
    const count = sum(map(counts, targets, full([], ignore!, { device, dtype: 'i32' })));
    device.guard(count.buffer, (bytes) => void check(new Float32Array(bytes.buffer, bytes.byteOffset, 1)[0]!));
    return count;
  });
}
