"""`Database.index_document`: by content, with the embedding that belongs to it."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from abathur_schema import Database
from abathur_schema.application.indexing import Given, index
from tests.support.embeddings import blob
from tests.support.inserts import count


async def test_document_is_indexed_by_its_content(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "plan.md"
    path.write_text("intro\n# The plan #\n\n# More")
    made = await db.index_document(path, document_type="plan", metadata={"a": 1})
    assert (made.file_path, made.title, made.document_type) == (str(path), "The plan", "plan")
    assert made.content_hash == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (made.sync_status, made.embedding_model, made.last_synced_at) == ("pending", None, None)
    assert await db.index_document(path) == made
    assert await count(db, "audit") == 1

    embedded = await db.index_document(path, embedding=[1, 0], embedding_model="m")
    assert (embedded.id, embedded.sync_status, embedded.metadata) == (made.id, "synced", {"a": 1})
    assert embedded.last_synced_at
    assert [one.id for one in await db.nearest_documents([1, 0])] == [made.id]

    path.write_text("no heading any more")
    stale = await db.index_document(path)
    assert (stale.title, stale.sync_status) == ("plan.md", "stale")
    assert (stale.embedding_model, stale.document_type) == ("m", "plan")
    synced = await db.index_document(path, title="Mine", embedding=[0, 1], embedding_model="n")
    assert (synced.sync_status, synced.embedding_model, synced.title) == ("synced", "n", "Mine")
    assert (await db.index_document(path)).title == "Mine"
    assert await count(db, "document_index") == 1
    assert await count(db, "audit") == 4


async def test_same_content_at_another_path_needs_no_embedding_of_its_own(db: Database) -> None:
    await db.index_document("a.md", content="same", embedding=blob(1, 2), embedding_model="m")
    other = await db.index_document("b.md", content=b"same")
    assert (other.sync_status, other.embedding_model) == ("synced", "m")
    near = await db.nearest_documents([1, 2])
    assert [one.file_path for one in near] == ["a.md", "b.md"]
    assert [one.distance for one in near] == pytest.approx([0, 0], abs=1e-12)
    moved = await db.index_document("a.md", content="new")
    assert moved.sync_status == "stale"
    assert (await db.index_document("c.md", content="new")).sync_status == "pending"


async def test_many_documents_of_the_same_content_are_one_question(file_db: Database) -> None:
    """Asking each of them whether it has an embedding would be quadratic."""
    asked: list[str] = []
    with closing(sqlite3.connect(file_db.path)) as connection:
        connection.row_factory = sqlite3.Row
        numbers = []
        for number in range(20):
            connection.set_trace_callback(asked.append)
            row, _ = index(connection, Given(f"{number}.md", b"same", *[None] * 6))
            connection.set_trace_callback(None)
            assert row["sync_status"] == "pending"
            numbers.append(len(asked))
            asked.clear()
    assert len(set(numbers[1:])) == 1


async def test_document_of_bytes_that_are_no_text(db: Database) -> None:
    made = await db.index_document("a.bin", content=b"\xff\n# \xfe\0x")
    assert (made.title, made.content_hash) == (
        "\ufffdx",
        hashlib.sha256(b"\xff\n# \xfe\0x").hexdigest(),
    )
