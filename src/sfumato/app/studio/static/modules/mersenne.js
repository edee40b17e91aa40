// The Mersenne Twister as torch seeds and draws from it, so that views with a seed are here what they are there.

const SIZE = 624;
const AHEAD = 397;

/** A generator of whole numbers below 2³², as `torch.Generator().manual_seed(seed)`; seed is a BigInt. */
export function mersenne(seed) {
  const state = new Uint32Array(SIZE);
  state[0] = Number(BigInt.asUintN(32, seed));
  for (let i = 1; i < SIZE; i++) {
    state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  }
  let at = SIZE;

  function refill() {
    for (let k = 0; k < SIZE; k++) {
      const y = (state[k] & 0x80000000) | (state[(k + 1) % SIZE] & 0x7fffffff);
      state[k] = state[(k + AHEAD) % SIZE] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    at = 0;
  }

  return () => {
    if (at === SIZE) refill();
    let y = state[at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
}

/** A permutation of 0 … n − 1, as `torch.randperm` draws it on the CPU. */
export function permutation(next, n) {
  const order = Array.from({ length: n }, (_, i) => i);
  for (let i = 0; i < n - 1; i++) {
    const j = i + (next() % (n - i));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
