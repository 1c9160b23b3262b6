import { checkValue, wholeBetween } from '../core/requirements.js';
import { philox, purposeWords, seedKey } from '../core/random.js';

/** Four rounds suffice for a random-looking permutation of a large set; small sets need more. */
const ROUNDS = 8;
const LARGEST = 2 ** 52;

/**
 * A pseudo-random permutation of `0 … n − 1`, a function of (seed, purpose) that is computed place by place and never stored.
 * A Feistel network permutes the numbers of `2h` bits, the fewest that hold `n`: `(l, r) → (r, l ⊕ f(round, r))`, where `f` is the
 * first word of block `r + 2³²·round` of the stream (seed, purpose). A result of `n` or more is permuted again until it is
 * below `n`, which takes four turns at most on average.
 *
 * Luby, Rackoff, "How to construct pseudorandom permutations from pseudorandom functions", SIAM J. Comput. 1988; Black, Rogaway,
 * "Ciphers with arbitrary finite domains", CT-RSA 2002 (cycle walking).
 *
 * @throws OptionError unless `n` is a whole number from 1 to 2⁵².
 */
export function permutation(seed: number, purpose: string, n: number): (place: number) => number {
  checkValue('permutation', 'n', n, wholeBetween(1, LARGEST, '2^52'));
  const key = seedKey(seed);
  const words = purposeWords(purpose);
  let half = 1;
  while (half * half < n) half *= 2;
  const mask = half - 1;
  const places = wholeBetween(0, n - 1);
  return (place) => {
    checkValue('permutation', 'the place', place, places);
    let value = place;
    do {
      let left = Math.floor(value / half);
      let right = value % half;
      for (let round = 0; round < ROUNDS; round++) {
        const [word] = philox([right, round, words[0], words[1]], key);
        [left, right] = [right, left ^ (word & mask)];
      }
      value = left * half + right;
    } while (value >= n);
    return value;
  };
}
