"""Keys in order, with ranks: what a rung needs to decide in microseconds at a million trials."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

Key = tuple[float, int]  # (loss, trial number): the number breaks ties

CHUNK = 2048  # a chunk is split at twice this length; short enough to shift, long enough to be few


class Ranking:
    """Distinct keys in ascending order, in chunks, so that no operation touches all of them."""

    def __init__(self) -> None:
        self._chunks: list[list[Key]] = []
        self._lasts: list[Key] = []  # the last key of every chunk

    def add(self, key: Key) -> None:
        """Inserts `key`, which must not be there yet."""
        if not self._chunks:
            self._chunks, self._lasts = [[key]], [key]
            return
        i = min(bisect_left(self._lasts, key), len(self._chunks) - 1)
        chunk = self._chunks[i]
        insort(chunk, key)
        if len(chunk) > 2 * CHUNK:
            self._chunks[i : i + 1] = [chunk[:CHUNK], chunk[CHUNK:]]
            self._lasts[i : i + 1] = [chunk[CHUNK - 1], chunk[-1]]
        else:
            self._lasts[i] = chunk[-1]

    def remove(self, key: Key) -> None:
        """Takes `key` out; KeyError if it is not there."""
        i, j = self._find(key)
        del self._chunks[i][j]
        if self._chunks[i]:
            self._lasts[i] = self._chunks[i][-1]
        else:
            del self._chunks[i], self._lasts[i]

    def rank(self, key: Key) -> int:
        """The 0-based rank of `key`; KeyError if it is not there."""
        i, j = self._find(key)
        return sum(map(len, self._chunks[:i])) + j

    def _find(self, key: Key) -> tuple[int, int]:
        i = bisect_left(self._lasts, key)
        if i < len(self._chunks):
            j = bisect_left(self._chunks[i], key)
            if self._chunks[i][j] == key:
                return i, j
        raise KeyError(key)

    def __iter__(self) -> Iterator[Key]:
        for chunk in self._chunks:
            yield from chunk
