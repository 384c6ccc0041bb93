"""Embeddings: vectors of float32, packed in the byte order of the machine, 4 bytes a dimension."""

import math
from array import array
from collections.abc import Iterable, Iterator
from operator import mul
from typing import Any

from ..errors import UsageError

Embedding = bytes | Iterable[float]
"""Packed float32, or anything that iterates over floats: a list, an array, a numpy array."""

FLOAT = 4
"""Bytes of a float32."""


def packed(embedding: Embedding) -> bytes:
    """The embedding as `document_index.embedding_blob` holds it.

    Raises UsageError unless it has at least one dimension, all its values are finite as float32,
    and not all of them are 0: such a vector has no direction to compare.
    """
    vector = array("f")
    try:
        if isinstance(embedding, bytes | bytearray | memoryview):
            vector.frombytes(embedding)
        else:
            vector.extend(_values(embedding))
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            f"this is not an embedding: {error}. Give a list or an array of floats, or bytes of"
            " packed float32."
        ) from error
    if not vector:
        raise UsageError("the embedding is empty. Give at least one number.")
    if not all(map(math.isfinite, vector)):
        raise UsageError("the embedding has values that are not finite as float32. Leave them out.")
    if not any(vector):
        raise UsageError("the embedding is all zeros, which has no direction. Give another.")
    return vector.tobytes()


def _values(embedding: Iterable[Any]) -> Iterator[Any]:
    if isinstance(embedding, str | dict):
        raise TypeError(f"it is a {type(embedding).__name__}")
    if getattr(embedding, "ndim", 1) != 1:
        raise TypeError(f"it has {getattr(embedding, 'ndim', 0)} dimensions instead of one")
    return iter(embedding)


def cosine_distance(one: bytes, other: bytes) -> float | None:
    """The cosine distance of two packed vectors of one length, 0 to 2, computed in float64; None if
    one of them has no direction, being all zeros or not finite.
    """
    a, b = array("f", one), array("f", other)
    lengths = math.sqrt(math.fsum(map(mul, a, a))) * math.sqrt(math.fsum(map(mul, b, b)))
    if not lengths or not math.isfinite(lengths):
        return None
    return min(2.0, max(0.0, 1.0 - math.fsum(map(mul, a, b)) / lengths))
