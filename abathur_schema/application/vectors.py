"""Compare an embedding with others in memory, by numpy: exactly, one embedding model at a time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # imported by the first search, not by an application that never searches
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

ROWS = 1 << 14
"""How many documents are kept together: so many that numpy compares them in parallel."""

Row = tuple[int, str | None, bytes | None]
"""A document: its id, type and embedding, None if that cannot be compared."""

SPARE = 256
"""How many candidates are found beyond those wanted."""

SMALL, LARGE = 1e-30, 1e30
"""Outside of these, the square of a vector's length may not fit float32."""


class Wanted(NamedTuple):
    """What is searched for: the nearest to a packed embedding of `model` (None: no model is said),
    among the documents of a type, or of any (None).
    """

    embedding: bytes
    model: str | None
    document_type: str | None
    limit: int


class Near(NamedTuple):
    """The nearest documents as pairs of id and distance (rounded to float32), nearest first;
    whether any embedding could be compared; and how many of the type wanted could not.
    """

    found: list[tuple[int, float]]
    compared: int
    left_out: int


class Block:
    """Some documents: their ids, the codes of their types, their vectors and 1 / lengths."""

    def __init__(self, ids: "Array", kinds: "Array", vectors: "Array") -> None:
        import numpy as np

        self.ids, self.kinds, self.vectors = ids, kinds, vectors
        with np.errstate(all="ignore"):
            squares = np.einsum("ij,ij->i", vectors, vectors)
            for row in np.flatnonzero(~((squares > SMALL) & (squares < LARGE))):
                exact = vectors[row].astype(np.float64)
                vectors[row] = exact / np.sqrt(exact @ exact)  # NaN if it has no direction
                squares[row] = vectors[row] @ vectors[row]
            self.per_length = 1 / np.sqrt(squares)

    def only(self, rows: "Array") -> "Block":
        """The block with some of its rows, told by a mask."""
        return self if rows.all() else Block(self.ids[rows], self.kinds[rows], self.vectors[rows])

    def and_then(self, other: "Block") -> "Block":
        """The rows of two blocks in one."""
        import numpy as np

        pairs = zip(*(vars(block).values() for block in (self, other)), strict=True)
        ids, kinds, vectors, _ = (np.concatenate(pair) for pair in pairs)
        return Block(ids, kinds, vectors)


class Matrix:
    """The embedded documents of one model and size, in memory. `others` are the ids of those that
    cannot be compared with them, with their types.
    """

    def __init__(self, model: str | None, size: int) -> None:
        self.parameters = {"model": model, "size": size}
        self.blocks: list[Block] = []
        self.others: dict[int, str | None] = {}
        self.codes: dict[str | None, int] = {}

    def add(self, rows: Sequence[Row]) -> None:
        """Add documents, which are not in it."""
        import numpy as np

        there = [row for row in rows if row[2] is not None]
        self.others.update((id_, kind) for id_, kind, blob in rows if blob is None)
        if not there:
            return
        codes = [self.codes.setdefault(kind, len(self.codes)) for _, kind, _ in there]
        content = bytearray().join(blob for _, _, blob in there if blob)
        block = Block(
            np.array([id_ for id_, _, _ in there], np.int64),
            np.array(codes, np.int32),
            np.frombuffer(content, np.float32).reshape(len(there), -1),
        )
        usable = np.isfinite(block.per_length)
        self.others.update(there[row][:2] for row in np.flatnonzero(~usable))
        block = block.only(usable)
        if self.blocks and len(self.blocks[-1].ids) + len(block.ids) <= ROWS:
            block = self.blocks.pop().and_then(block)
        self.blocks.append(block)

    def remove(self, ids: Sequence[int]) -> None:
        """Remove documents, those that are in it."""
        import numpy as np

        gone = np.array(ids, np.int64)
        blocks = [block.only(~np.isin(block.ids, gone)) for block in self.blocks]
        self.blocks = [block for block in blocks if len(block.ids)]
        for id_ in ids:
            self.others.pop(id_, None)

    def nearest(self, wanted: Wanted) -> Near:
        """The documents nearest to what is wanted, and some more."""
        import numpy as np

        vector = np.frombuffer(wanted.embedding, np.float32).astype(np.float64)
        unit = (vector / np.sqrt(vector @ vector)).astype(np.float32)
        kind, most = wanted.document_type, wanted.limit + SPARE
        near = Near([], 0, sum(kind in (None, other) for other in self.others.values()))
        for block in self.blocks:
            distances = 1 - (block.vectors @ unit) * block.per_length
            ids = block.ids
            if kind is not None:
                rows = block.kinds == self.codes.get(kind, -1)
                ids, distances = ids[rows], distances[rows]
            if len(ids) > most:
                first = np.argpartition(distances, most)[:most]
                ids, distances = ids[first], distances[first]
            found = zip(ids.tolist(), distances.tolist(), strict=True)
            near = merged(near, Near([*found], len(block.ids), 0), most)
        return near


def merged(one: Near, other: Near, most: int) -> Near:
    """The nearest of both, at most so many."""
    found = sorted([*one.found, *other.found], key=lambda pair: (pair[1], pair[0]))[:most]
    return Near(found, one.compared + other.compared, one.left_out + other.left_out)
