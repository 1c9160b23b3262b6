const FIRST = 1024;

/**
 * The last bytes of a text, up to eight: the latest is the lowest byte of `low`, the fifth latest the lowest of `high`.
 */
export interface Key {
  high: number;
  low: number;
}

/** The key of the latest `order` bytes of `key`. */
export function suffixOf(key: Readonly<Key>, order: number, into: Key): Key {
  into.low = order >= 4 ? key.low : (key.low & (2 ** (8 * order) - 1)) >>> 0;
  into.high = order <= 4 ? 0 : order === 8 ? key.high : (key.high & (2 ** (8 * order - 32) - 1)) >>> 0;
  return into;
}

/** The key without its latest byte. */
export function prefixOf(key: Readonly<Key>, into: Key): Key {
  const { high, low } = key;
  into.low = ((high << 24) | (low >>> 8)) >>> 0;
  into.high = high >>> 8;
  return into;
}

/**
 * Keys of up to eight bytes, numbered in the order in which they come: a hash table of typed arrays with open
 * addressing, at most half full, 24 bytes for each key that it has room for.
 */
export class Grams {
  /** Number of keys. */
  size = 0;
  #high = new Uint32Array(FIRST);
  #low = new Uint32Array(FIRST);
  /** Numbers of keys, plus one; 0 is a free place. */
  #places = new Uint32Array(2 * FIRST);

  /** The key of a number. */
  keyOf(index: number, into: Key): Key {
    into.high = this.#high[index]!;
    into.low = this.#low[index]!;
    return into;
  }

  /** The number of a key, or −1. */
  find({ high, low }: Readonly<Key>): number {
    return this.#places[this.#place(high, low)]! - 1;
  }

  /** The number of a key, which gets the next one if it is new. */
  add({ high, low }: Readonly<Key>): number {
    const place = this.#place(high, low);
    const found = this.#places[place]!;
    if (found > 0) return found - 1;
    const index = this.size++;
    this.#high[index] = high;
    this.#low[index] = low;
    this.#places[place] = index + 1;
    if (this.size === this.#high.length) this.#grow();
    return index;
  }

  /** Where the key is, or would be. */
  #place(high: number, low: number): number {
    const places = this.#places;
    const mask = places.length - 1;
    let hash = Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
    let place = (hash ^ (hash >>> 13)) & mask;
    for (let found = places[place]!; found > 0; found = places[place]!) {
      if (this.#low[found - 1] === low && this.#high[found - 1] === high) break;
      place = (place + 1) & mask;
    }
    return place;
  }

  #grow(): void {
    this.#high = widened(this.#high);
    this.#low = widened(this.#low);
    this.#places = new Uint32Array(2 * this.#high.length);
    for (let i = 0; i < this.size; i++) this.#places[this.#place(this.#high[i]!, this.#low[i]!)] = i + 1;
  }
}

/** Twice as long, with zeros at the end. */
export function widened(array: Uint32Array): Uint32Array<ArrayBuffer> {
  const wide = new Uint32Array(2 * array.length);
  wide.set(array);
  return wide;
}
