"""The document index: what a document's row becomes when its content or its embedding is given."""

import sqlite3
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UsageError
from .queries import query, write


class Given(NamedTuple):
    """What is said about the document at a path; None where nothing is. Metadata is JSON text, the
    embedding is packed.
    """

    path: str
    content: bytes
    title: str | None
    document_type: str | None
    metadata: str | None
    chunk_count: int | None
    embedding: bytes | None
    embedding_model: str | None


def content_of(path: str, content: str | bytes | None) -> bytes:
    """The content of a document, read from the file if it is not given. Raises UsageError."""
    try:
        if content is None:
            return Path(path).read_bytes()
        return content.encode() if isinstance(content, str) else bytes(memoryview(content))
    except (TypeError, UnicodeEncodeError) as error:
        raise UsageError(f"this is not the content of a document: {error}. Give text.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{path!r} cannot be read: {reason}. Name a file, or give its content: content=..."
        ) from error


def index(connection: sqlite3.Connection, given: Given) -> tuple[sqlite3.Row, bool]:
    """Write the row of a document where it changes; returns it, and whether it has changed."""
    before, values = decide(connection, given)
    if before and not values:
        return before, False
    rows = write("index-document").execute(connection, **values).fetchall()
    return rows[0], True


def decide(
    connection: sqlite3.Connection, given: Given
) -> tuple[sqlite3.Row | None, Mapping[str, Any]]:
    """The row of a document as it is, and the values for its statement; none if nothing changes."""
    at_path = query("document-at-a-path").execute(connection, file_path=given.path).fetchone()
    before = _with_embedding(connection, at_path["id"]) if at_path else None
    content_hash = sha256(given.content).hexdigest()
    is_same = before is not None and before["content_hash"] == content_hash
    values = {
        "file_path": given.path,
        "title": given.title or (before["title"] if before and is_same else _title(given)),
        "document_type": given.document_type or (before and before["document_type"]),
        "content_hash": content_hash,
        "chunk_count": given.chunk_count or (before["chunk_count"] if before else 1),
        "metadata": given.metadata or (before and before["metadata"]) or "{}",
        **_embedded(connection, given, before, content_hash),
    }
    if before and all(before[name] == value for name, value in values.items()):
        return before, {}
    return before, {**values, "last_synced_at": before and before["last_synced_at"]}


def _embedded(
    connection: sqlite3.Connection, given: Given, before: sqlite3.Row | None, content_hash: str
) -> Mapping[str, Any]:
    """The embedding of a document, its model, and whether it is that of the content."""
    is_same = before is not None and before["content_hash"] == content_hash
    found: tuple[bytes | None, str | None, str]
    if given.embedding is not None:
        found = given.embedding, given.embedding_model, "synced"
    elif before and is_same:
        found = before["embedding_blob"], before["embedding_model"], before["sync_status"]
    elif other := _same_content(connection, content_hash):
        found = other["embedding_blob"], other["embedding_model"], "synced"
    elif before and before["embedding_blob"] is not None:
        found = before["embedding_blob"], before["embedding_model"], "stale"
    else:
        found = None, None, "pending"
    return dict(zip(("embedding_blob", "embedding_model", "sync_status"), found, strict=True))


def _same_content(connection: sqlite3.Connection, content_hash: str) -> sqlite3.Row | None:
    """A document with this content, and with its embedding; the first that has one will do."""
    same = query("documents-with-the-same-content").sql.rstrip(";")
    found = connection.execute(
        "SELECT embedding_blob, embedding_model FROM document_index"
        f" WHERE id IN (SELECT id FROM ({same}))"
        " AND sync_status = 'synced' AND embedding_blob IS NOT NULL LIMIT 1",
        {"content_hash": content_hash},
    )
    row: sqlite3.Row | None = found.fetchone()
    return row


def _with_embedding(connection: sqlite3.Connection, id_: int) -> sqlite3.Row:
    row: sqlite3.Row = query("document-by-id").execute(connection, id=id_).fetchone()
    return row


def _title(given: Given) -> str:
    """The first `# heading` of the content, or the name of the file."""
    for line in given.content.decode("utf-8", "replace").splitlines():
        if line.startswith("# ") and (heading := line[2:].strip().rstrip("#").strip()):
            return heading.replace("\0", "")
    return Path(given.path).name
