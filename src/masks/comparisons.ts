import type { Op, Separated } from '../codegen/expression/index.js';
import { axisValues } from './axis.js';
import { EMPTY, FULL, fromKinds, invert, PARTIAL, Runs } from './runs.js';
import { keyTiles, queryRange, uniform, type Geometry, type Source } from './sources.js';

/** Comparisons of something of the query with something of the key, such as equal document ids. */
export function comparisonSource(op: Op, sides: Separated, g: Geometry): Source {
  const left = axisValues(sides.left, 'q', g.queryOffset, g.queryOffset + g.L - 1).lo;
  const right = axisValues(sides.right, 'k', 0, g.S - 1).lo;
  if (op === 'eq') return equalitySource(left, right, g);
  if (op === 'ne') return inverse(equalitySource(left, right, g));
  // a > b is not a <= b, and a >= b is not a < b
  if (op === 'gt') return inverse(orderSource(left, right, false, g));
  if (op === 'ge') return inverse(orderSource(left, right, true, g));
  return orderSource(left, right, op === 'lt', g);
}

function inverse(source: Source): Source {
  const out = new Runs();
  return { row: (tile, start, end) => invert(source.row(tile, start, end), out) };
}

/** `left <= right`, or `left < right` when strict: decided by the extremes of each tile, by bisection where `right` is in order. */
function orderSource(left: Float64Array, right: Float64Array, strict: boolean, g: Geometry): Source {
  const columns = keyTiles(g);
  const [least, most] = [new Float64Array(columns), new Float64Array(columns)];
  for (let tile = 0; tile < columns; tile++) {
    [least[tile], most[tile]] = extremes(right, tile * g.keyTile, Math.min(g.S, (tile + 1) * g.keyTile));
  }
  const kinds = new Uint8Array(columns);
  const out = new Runs();
  const [rising, falling] = [isRising(right, 1), isRising(right, -1)];
  return {
    row(tile, start, end) {
      const [first, last] = queryRange(g, tile);
      const [low, high] = extremes(left, first - g.queryOffset, last - g.queryOffset + 1);
      const all = (j: number): boolean => (strict ? high < least[j]! : high <= least[j]!);
      const some = (j: number): boolean => (strict ? low < most[j]! : low <= most[j]!);
      if (!rising && !falling) {
        for (let j = start; j < end; j++) kinds[j] = all(j) ? FULL : some(j) ? PARTIAL : EMPTY;
        return fromKinds(kinds, out, start, end);
      }
      // values in order: three runs at most, and not a look at every column
      out.clear();
      if (rising) {
        out.push(firstOf(columns, some), EMPTY);
        out.push(firstOf(columns, all), PARTIAL);
        out.push(columns, FULL);
      } else {
        out.push(
          firstOf(columns, (j) => !all(j)),
          FULL,
        );
        out.push(
          firstOf(columns, (j) => !some(j)),
          PARTIAL,
        );
        out.push(columns, EMPTY);
      }
      return out;
    },
  };
}

function isRising(values: Float64Array, sign: 1 | -1): boolean {
  for (let i = 1; i < values.length; i++) if (sign * (values[i]! - values[i - 1]!) < 0) return false;
  return true;
}

/** The first of `count` indices that holds, where all after it do; `count` where none does. */
function firstOf(count: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function extremes(values: Float64Array, start: number, end: number): [number, number] {
  let [least, most] = [Infinity, -Infinity];
  for (let i = start; i < end; i++) {
    if (values[i]! < least) least = values[i]!;
    if (values[i]! > most) most = values[i]!;
  }
  return [least, most];
}

/**
 * `left = right`, exactly: each value knows the runs of key tiles that hold it, and a row of tiles joins those of the values
 * its queries have. The cost is that of the values and of the tiles found, not of all tiles.
 */
function equalitySource(left: Float64Array, right: Float64Array, g: Geometry): Source {
  const columns = keyTiles(g);
  const ids = numbered(right);
  const places = tilesOfValues(ids.of(right), ids.count, g);
  const leftIds = ids.of(left);
  // the call that last met a value, and the call that last marked a tile
  let call = 0;
  const met = new Int32Array(ids.count);
  const marked = new Int32Array(columns);
  const touched = new Int32Array(columns);
  const kinds = new Uint8Array(columns);
  const [out, none] = [new Runs(), uniform(columns, EMPTY)];

  // the value whose runs `out` holds: neighbouring rows often share it
  let held = -1;
  const single = (id: number): Runs => {
    if (id < 0) return none;
    if (id === held) return out;
    held = id;
    out.clear();
    for (let entry = places.head[id]!; entry >= 0; entry = places.next[entry]!) {
      out.push(places.start[entry]!, EMPTY);
      out.push(places.end[entry]!, places.kind[entry]!);
    }
    out.push(columns, EMPTY);
    return out;
  };
  return {
    row(tile) {
      const [first, last] = queryRange(g, tile);
      const [start, end] = [first - g.queryOffset, last - g.queryOffset];
      const id = leftIds[start]!;
      let only = true;
      for (let i = start + 1; only && i <= end; i++) only = leftIds[i] === id;
      if (only) return single(id);
      held = -1;
      // queries of different values: no tile is full, those that hold any of the values are partial
      call++;
      let count = 0;
      for (let i = start; i <= end && count < columns; i++) {
        const value = leftIds[i]!;
        if (value < 0 || met[value] === call) continue;
        met[value] = call;
        for (let entry = places.head[value]!; entry >= 0; entry = places.next[entry]!) {
          for (let j = places.start[entry]!; j < places.end[entry]!; j++) {
            if (marked[j] === call) continue;
            marked[j] = call;
            touched[count++] = j;
          }
        }
      }
      if (count * 8 > columns) {
        for (let j = 0; j < columns; j++) kinds[j] = marked[j] === call ? PARTIAL : EMPTY;
        return fromKinds(kinds, out);
      }
      out.clear();
      for (const j of touched.subarray(0, count).sort()) {
        out.push(j, EMPTY);
        out.push(j + 1, PARTIAL);
      }
      out.push(columns, EMPTY);
      return out;
    },
  };
}

/** Distinct values as consecutive ids; a value never seen is −1. */
function numbered(values: Float64Array): { readonly count: number; of: (list: Float64Array) => Int32Array } {
  const [least, most] = extremes(values, 0, values.length);
  const span = most - least + 1;
  // values of a narrow range are numbered by an array, others by a map
  const dense = span <= 4 * values.length + 1024 ? new Int32Array(span).fill(-1) : undefined;
  const ids = new Map<number, number>();
  let count = 0;
  let previous = NaN;
  for (const value of values) {
    if (value === previous) continue;
    previous = value;
    if (dense !== undefined) {
      if (dense[value - least]! < 0) dense[value - least] = count++;
    } else if (!ids.has(value)) ids.set(value, count++);
  }
  const find = (value: number): number => {
    if (dense === undefined) return ids.get(value) ?? -1;
    return value >= least && value <= most ? dense[value - least]! : -1;
  };
  return {
    count,
    of(list) {
      const out = new Int32Array(list.length);
      let [last, id] = [NaN, -1];
      for (let i = 0; i < list.length; i++) {
        if (list[i] !== last) id = find((last = list[i]!));
        out[i] = id;
      }
      return out;
    },
  };
}

/** For each value, a linked list of runs of key tiles: FULL where a tile holds nothing else. */
interface Places {
  readonly head: Int32Array;
  readonly next: number[];
  readonly start: number[];
  readonly end: number[];
  readonly kind: number[];
}

function tilesOfValues(ids: Int32Array, count: number, g: Geometry): Places {
  const head = new Int32Array(count).fill(-1);
  const tail = new Int32Array(count).fill(-1);
  const places: Places = { head, next: [], start: [], end: [], kind: [] };
  const add = (id: number, tile: number, kind: number): void => {
    const last = tail[id]!;
    if (last >= 0 && places.end[last]! > tile) return;
    if (last >= 0 && places.end[last] === tile && places.kind[last] === kind) {
      places.end[last] = tile + 1;
      return;
    }
    const entry = places.next.length;
    places.next.push(-1);
    places.start.push(tile);
    places.end.push(tile + 1);
    places.kind.push(kind);
    if (last < 0) head[id] = entry;
    else places.next[last] = entry;
    tail[id] = entry;
  };
  for (let tile = 0; tile < keyTiles(g); tile++) {
    const [start, end] = [tile * g.keyTile, Math.min(g.S, (tile + 1) * g.keyTile)];
    let only = true;
    for (let k = start + 1; only && k < end; k++) only = ids[k] === ids[start];
    if (only) add(ids[start]!, tile, FULL);
    else for (let k = start; k < end; k++) add(ids[k]!, tile, PARTIAL);
  }
  return places;
}
