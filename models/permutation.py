"""Random permutations that need no memory to speak of, however many rows there are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
SMALL = 65536  # up to so many, a table is quicker and takes half a megabyte
ROUNDS = 8
WORD = np.uint64(0xFFFFFFFF)


class Permutation:
    """A random permutation of 0 … `size` - 1, keyed by `key`; called with places, it says what stands there.

    A large one is computed where it is looked at. A Feistel network permutes the next power of four; what falls
    outside is sent through it again until it is inside (cycle walking: Black and Rogaway, "Ciphers with Arbitrary
    Finite Domains", 2002).
    """

    def __init__(self, size: int, key: np.random.SeedSequence) -> None:
        self.size = size
        self._table = np.random.Generator(np.random.Philox(key)).permutation(size) if size <= SMALL else None
        self._half = np.uint64(-(-(size - 1).bit_length() // 2))
        self._mask = (np.uint64(1) << self._half) - np.uint64(1)
        self._keys = key.generate_state(2 * ROUNDS, np.uint64) & WORD | np.uint64(1)

    def __call__(self, places: Places) -> Places:
        """int64, shaped like `places`."""
        if self._table is not None:
            return self._table[places]
        found = self._scramble(places.astype(np.uint64).ravel())
        while (outside := np.flatnonzero(found >= self.size)).size:
            found[outside] = self._scramble(found[outside])
        return found.astype(np.int64).reshape(places.shape)

    def _scramble(self, places: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = places >> self._half, places & self._mask
        for factor, term in self._keys.reshape(ROUNDS, 2):
            mixed = (right * factor + term) & WORD
            mixed = ((mixed ^ (mixed >> np.uint64(15))) * np.uint64(0x2C1B3C6D)) & WORD
            left, right = right, left ^ ((mixed ^ (mixed >> np.uint64(12))) & self._mask)
        return (left << self._half) | right
