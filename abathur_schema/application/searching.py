"""Search by words, by embedding, or by both: the part of `Database` that finds things."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal

import aiosqlite

from ..declared.declaration import Settings
from ..errors import UsageError
from ..place import Address, Place
from ..storage.snapshot import snapshot
from .connection import in_its_thread
from .embedding import FLOAT, Embedding, cosine_distance, packed
from .kept_vectors import Kept, begin
from .queries import query
from .records import Document, Memory, check_limit, check_texts, record
from .vector_scan import has_numpy, load_sqlite_vec, scan, scan_in_sql
from .vectors import Near, Wanted
from .words import Hit, fused, match_expression, with_words

ROUNDING = 1e-5
"""What rounding to float32 may do to a distance, and more."""

INSTALL = (
    "searching by embedding needs numpy, or sqlite-vec and a Python that loads extensions. Install"
    " them: pip install 'abathur-schema[search]'"
)


SIZES = """
SELECT DISTINCT embedding_model, length(embedding_blob) FROM document_index
 WHERE typeof(embedding_model) = 'text' AND embedding_blob IS NOT NULL ORDER BY 1, 2"""


class Nearest(list[Document]):
    """Documents, nearest first. `left_out` says how many others of the type asked for have an
    embedding that could not be compared: of another model or length, or without direction.
    """

    def __init__(self, documents: Iterable[Document] = (), left_out: int = 0) -> None:
        super().__init__(documents)
        self.left_out = left_out


class Searching:
    """What `Database` can find."""

    place: Place
    _settings: Settings

    def __init__(self) -> None:
        self._keep_nothing()

    def _keep_nothing(self) -> None:
        """Drop the embeddings in memory: without a connection to it, another database may take the
        place of this one, and look the same.
        """
        self._kept = Kept()

    # `Database` has these, as in `Remembering`.

    def connection(self) -> AbstractAsyncContextManager[aiosqlite.Connection]:
        """A connection for the block."""
        raise NotImplementedError

    def _file(self) -> object:
        """What tells the file from another one at its path; None in memory."""
        raise NotImplementedError

    async def nearest_documents(
        self,
        embedding: Embedding,
        *,
        limit: int = 10,
        document_type: str | None = None,
        embedding_model: str | None = None,
    ) -> Nearest:
        """The documents whose embeddings are nearest to this one, by cosine distance: exact, all of
        them are compared. What any connection or process has committed is found.

        `embedding` has as many dimensions as the documents', as float32 values: packed bytes (4 a
        dimension, native byte order) or anything that iterates over numbers. Only embeddings of one
        model are compared; `embedding_model` may be left out where just one has this dimension.

        Raises UsageError when the embedding is wrong, when no document has one of its dimension,
        when several models do and none is named, and when neither numpy nor sqlite-vec is there.
        """
        check_limit(limit)
        check_texts({}, {"document_type": document_type, "embedding_model": embedding_model})
        wanted = Wanted(packed(embedding), embedding_model, document_type, limit)
        file = self._file()
        async with self.connection() as conn:
            return await in_its_thread(conn, self._nearest, wanted, file)

    async def search(
        self,
        text: str,
        *,
        namespace: str | None = None,
        limit: int = 10,
        match: Literal["all", "any"] = "all",
        embedding: Embedding | None = None,
        embedding_model: str | None = None,
    ) -> list[Hit]:
        """Current memories and documents that have all words of `text` (`match`: or any of them),
        best first. Memories have them in the key or in the strings of the value, documents in title
        or path. `namespace` restricts memories to those in it and below it.

        Any text is legal, and each part of it between white space is searched for as it stands; of
        `any` the first 256 different ones, while `all` may be 10,000. Where more than 5,000
        memories or documents have the words, the newest 5,000 are ranked. With an `embedding`, the
        documents nearest to it are found as well, as by `nearest_documents`; the rankings are
        merged by reciprocal rank fusion.

        Raises UsageError when the database has no full-text search, for more words than that, and
        for a wrong embedding or namespace.
        """
        check_limit(limit)
        words = match_expression(text, match, namespace)
        values: dict[str, Any] = {"words": words, "limit": limit}
        memories: list[tuple[Memory, str]] = []
        documents: list[tuple[Document, str]] = []
        if words:
            async with self.connection() as conn:
                memories = await in_its_thread(conn, with_words, Memory, values)
                values["words"] = match_expression(text, match)
                documents = await in_its_thread(conn, with_words, Document, values)
        near: list[Document] = []
        if embedding is not None:
            near = await self.nearest_documents(
                embedding, limit=limit, embedding_model=embedding_model
            )
        return fused(memories, documents, near)[:limit]

    def _nearest(self, connection: sqlite3.Connection, wanted: Wanted, file: object) -> Nearest:
        if wanted.model is None:
            wanted = wanted._replace(model=_model(connection, len(wanted.embedding)))
        if isinstance(self.place, Address):
            if not has_numpy():
                raise UsageError(INSTALL)
            return _read(connection, wanted, scan(connection, wanted))[0]
        if connection.in_transaction:  # of `:memory:`; what it changed may be rolled back
            return self._by_scan(connection, wanted)
        try:
            while has_numpy() and (near := self._kept.nearest(connection, wanted, file)):
                found, gone = _read(connection, wanted, near)
                if not gone:
                    return found
                self._kept.forget(wanted, gone)
                connection.rollback()
            return self._by_scan(connection, wanted)
        finally:
            connection.rollback()

    def _by_scan(self, connection: sqlite3.Connection, wanted: Wanted) -> Nearest:
        """Search without anything in memory; sqlite-vec is not loaded into connections that are
        lent to the application.
        """
        if self._file() is None:
            begin(connection)
            return _scanned([connection], wanted)
        assert isinstance(self.place, Path)
        with snapshot(self.place, self._settings) as connections:
            return _scanned(connections, wanted)


def _scanned(connections: Sequence[sqlite3.Connection], wanted: Wanted) -> Nearest:
    connection = connections[0]
    if all(map(load_sqlite_vec, connections)):
        near = scan_in_sql(connections, wanted)
    elif has_numpy():
        near = scan(connection, wanted)
    else:
        raise UsageError(INSTALL)
    connection.row_factory = sqlite3.Row
    found, _ = _read(connection, wanted, near)
    return found


def _read(connection: sqlite3.Connection, wanted: Wanted, near: Near) -> tuple[Nearest, list[int]]:
    """The documents that are nearest by their distance in float64, and the ids of those that do not
    exist. Raises UsageError when no document could be compared.
    """
    if not near.compared:
        _explain(connection, wanted, near)
    documents: list[Document] = []
    gone = []
    for id_, rounded in near.found:
        last = len(documents) - wanted.limit
        if last >= 0 and rounded > near.found[wanted.limit - 1][1] + ROUNDING:
            break
        row = query("document-by-id").execute(connection, id=id_).fetchone()
        if row is None:
            gone.append(id_)
            continue
        distance = cosine_distance(row["embedding_blob"], wanted.embedding)
        documents.append(record(Document, row, distance=distance))
    documents.sort(key=lambda one: (one.distance or 0.0, one.id))
    return Nearest(documents[: wanted.limit], near.left_out), gone


def _explain(connection: sqlite3.Connection, wanted: Wanted, near: Near) -> None:
    """Raise UsageError when there are embeddings, but none that could be compared."""
    models = _sizes(connection)
    if not models and not near.left_out:
        return
    floats = len(wanted.embedding) // FLOAT
    there = ", ".join(f"{model} ({size // FLOAT} floats)" for model, size in models)
    of = f" of the model {wanted.model}" if wanted.model else ""
    raise UsageError(
        f"no document{of} has an embedding of {floats} floats."
        + (f" There are: {there}. Embed the query by one of these models." if there else "")
    )


def _models(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """The embedding models of all documents, each with the size of one of its embeddings."""
    found: list[tuple[str, int]] = []
    name = ""
    while row := query("next-embedding-model").execute(connection, after=name).fetchone():
        name, size = row
        if not isinstance(name, str):  # a BLOB, which sorts last
            break
        if size is not None:
            found.append((name, size))
    return found


def _sizes(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """The embedding models with every size of their embeddings; looks at all documents."""
    return [(model, size) for model, size in connection.execute(SIZES)]


def _model(connection: sqlite3.Connection, size: int) -> str | None:
    """The only model whose embeddings have this size, or None if no model has. Raises UsageError
    when several have.
    """
    of_size: list[str] = []
    for models in (_models, _sizes):  # a model whose embeddings differ in size is hardly ever there
        of_size = of_size or [model for model, its_size in models(connection) if its_size == size]
    if len(of_size) > 1:
        raise UsageError(
            f"{len(of_size)} models have embeddings of {size // FLOAT} floats:"
            f" {', '.join(of_size)}. Say by which the query was embedded: embedding_model=..."
        )
    return of_size[0] if of_size else None
