"""Search by words: any text is legal, what is current is found, and embeddings can help."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from abathur_schema import AbathurError, Database, Document, Hit, Memory
from tests.support.embeddings import blob

MEMORIES = [
    ("user:alice", "tea", {"kind": "green tea", "cups": 2, "with": ["milk", "honey"]}),
    ("user:alice:work", "plan", "The launch of the rocket is planned for Tuesday"),
    ("user:alice2", "plan", "no rocket at all"),
    ("user:bob", "rocket", "fuel, and fuel again; the rocket needs fuel"),
    ("project:apollo", "größe", "Größe der Rakete: 110 m"),
    ("project:apollo", "月", "月は東に"),
    ("app:shop", "odd", 'He said "hi" (and left) NEAR *here*'),
]
DOCUMENTS = [
    ("docs/rocket.md", "How a rocket flies"),
    ("docs/tea.md", "Tea, and how it is made"),
    ("src/rocket_engine.py", "rocket_engine.py"),
]


@pytest.fixture(params=["swarm.db", ":memory:"])
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database in a file, and one in memory, with memories and documents."""
    path = request.param if request.param == ":memory:" else tmp_path / request.param
    async with Database(path, search=True) as database:
        await _fill(database)
        yield database


async def _fill(db: Database) -> None:
    for namespace, key, value in MEMORIES:
        await db.remember(namespace, key, value)
    for path, title in DOCUMENTS:
        await db.index_document(path, content=title, title=title)


def names(hits: list[Hit]) -> list[str]:
    """The keys of memories and the paths of documents, in their order."""
    return [one.found.key if isinstance(one.found, Memory) else one.found.file_path for one in hits]


FOUND: dict[str, list[str]] = {
    "tea": ["tea", "docs/tea.md"],
    "TEA": ["tea", "docs/tea.md"],
    "honey": ["tea"],
    "green honey": ["tea"],
    "green rocket": [],
    "planned launch": ["plan"],
    "Größe": ["größe"],
    "grosse": [],
    "GRÖSSE": [],
    "große": ["größe"],
    "月は東に": ["月"],
    "fuel": ["rocket"],
    "docs": ["docs/rocket.md", "docs/tea.md"],
    "rocket_engine.py": ["src/rocket_engine.py"],
    '"hi"': ["odd"],
    "(and left)": ["odd"],
    "*here*": ["odd"],
    "kind": [],
    "alice": [],
    "user": [],
    "75736572": [],
    "2": [],
}


@pytest.mark.parametrize("text", FOUND)
async def test_words_are_found(db: Database, text: str) -> None:
    assert sorted(names(await db.search(text))) == sorted(FOUND[text])


async def test_best_come_first_with_the_words_in_their_text(db: Database) -> None:
    hits = await db.search("rocket")
    assert hits[0].score >= hits[-1].score > 0
    memories = [hit for hit in hits if isinstance(hit.found, Memory)]
    assert names(memories)[0] == "rocket"  # in key and value
    documents = [hit.found for hit in hits if isinstance(hit.found, Document)]
    assert documents[0].distance is None
    (hit,) = await db.search("launch tuesday")
    assert hit.snippet == "The [launch] of the rocket is planned for [Tuesday]"
    assert isinstance(hit.found, Memory)
    assert hit.found == await db.recall("user:alice:work", "plan")


async def test_any_of_the_words(db: Database) -> None:
    assert names(await db.search("green rocket", match="any", limit=100))[0] in ("tea", "rocket")
    assert len(await db.search("green rocket", match="any", limit=100)) == 6
    assert len(await db.search("green rocket", match="any", limit=2)) == 2


async def test_all_of_many_words_are_asked_for(db: Database) -> None:
    many = " ".join(f"w{number}" for number in range(200))
    assert len(await db.search(f"{many} rocket", match="any", limit=100)) == 5
    await db.remember("user:carol", "many", many)
    assert names(await db.search(many)) == ["many"]
    assert names(await db.search(f"{many} rocket")) == []
    with pytest.raises(AbathurError, match="10001 different words"):
        await db.search(" ".join(f"w{number}" for number in range(10_001)))


async def test_namespace_restricts_memories_to_its_subtree(db: Database) -> None:
    async def of(namespace: str) -> list[str]:
        hits = await db.search("rocket", namespace=namespace, limit=100)
        return [one.found.namespace for one in hits if isinstance(one.found, Memory)]

    assert await of("user:alice") == ["user:alice:work"]
    assert await of("user:alice:work") == ["user:alice:work"]
    assert sorted(await of("user")) == ["user:alice2", "user:alice:work", "user:bob"]
    assert await of("user:alice:w") == await of("project:apollo") == await of("app:x") == []


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"namespace": "alice"}, "is not a namespace"),
        ({"namespace": "user:alice:"}, "is not a namespace"),
        ({"namespace": "user:a'; DROP TABLE tasks"}, None),
        ({"limit": 0}, "limit is 0"),
        ({"match": "most"}, "match is 'most'"),
        ({"text": None}, "Give a str"),
        ({"embedding": []}, "the embedding is empty"),
    ],
)
async def test_wrong_argument_is_an_error_that_says_so(
    db: Database, given_: dict[str, Any], message: str | None
) -> None:
    arguments = {"text": "rocket", **given_}
    if message:
        with pytest.raises(AbathurError, match=message):
            await db.search(**arguments)
    else:
        assert all(isinstance(one.found, Document) for one in await db.search(**arguments))


async def test_only_what_is_current_is_found(db: Database) -> None:
    await db.remember("user:alice", "tea", "black")
    assert names(await db.search("green")) == []
    assert names(await db.search("black")) == ["tea"]
    await db.forget("user:alice", "tea")
    assert names(await db.search("black")) == []
    await db.remember("user:alice", "tea", "white")
    assert names(await db.search("white")) == ["tea"]
    await db.index_document("docs/tea.md", content="new", title="About coffee")
    assert names(await db.search("coffee")) == ["docs/tea.md"]


async def test_what_another_program_writes_is_found(tmp_path: Path) -> None:
    async with Database(tmp_path / "swarm.db", search=True) as db:
        assert await db.search("comet") == []
        with closing(sqlite3.connect(db.path)) as connection, connection:
            connection.execute(
                "INSERT INTO memory_entries (namespace, key, value, memory_type)"
                " VALUES ('temp:x', 'k', ?, 'episodic')",
                [json.dumps({"deep": [{"er": "a comet"}]})],
            )
        assert names(await db.search("comet")) == ["k"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in a file that is filled once."""
    path = tmp_path_factory.mktemp("words") / "swarm.db"

    async def fill() -> None:
        async with Database(path, search=True) as db:
            await _fill(db)

    asyncio.run(fill())
    return path


@pytest.mark.parametrize("match", ["all", "any"])
@pytest.mark.parametrize("namespace", [None, "user:alice"])
@given(text=st.text(max_size=40))
@example(text="")
@example(text=" \t\n\0 ")
@example(text='"')
@example(text='a " b')
@example(text="'; DROP TABLE memory_search --")
@example(text="key : tea AND NOT (")
@example(text="NEAR(a b, 5) ^x {y} + z* -w")
@example(text="\ud800 lone")
@example(text="word " * 100_000)
@example(text=" ".join(f"w{n}" for n in range(5000)))
@example(text="a" * 1_000_000)
def test_any_text_is_legal(
    filled: Path, match: Literal["all", "any"], namespace: str | None, text: str
) -> None:
    async def search() -> None:
        async with Database(filled, search=True) as db:
            hits = await db.search(text, namespace=namespace, match=match)
            assert all(isinstance(hit, Hit) for hit in hits)

    asyncio.run(search())


async def test_without_the_step_the_error_says_how_to_make_it(tmp_path: Path) -> None:
    async with Database(tmp_path / "swarm.db") as db:
        with pytest.raises(AbathurError, match="`invoke search`"):
            await db.search("rocket")


async def test_words_and_embedding_together(db: Database) -> None:
    """By reciprocal rank fusion: what both find is first, what one finds is there too."""
    for path, vector in (
        ("docs/rocket.md", (0.0, 1.0)),
        ("docs/tea.md", (1.0, 0.0)),
        ("src/rocket_engine.py", (1.0, 1.0)),
    ):
        await db.index_document(
            path, content=path, embedding=blob(*vector), embedding_model="m", title=path
        )
    both = await db.search("rocket", embedding=[1, 0.1], limit=10)
    assert isinstance(both[0].found, Document)
    assert {hit.found.file_path for hit in both if isinstance(hit.found, Document)} == {
        path for path, _ in DOCUMENTS
    }
    tea = next(hit for hit in both if names([hit]) == ["docs/tea.md"])
    assert (tea.snippet, round(tea.score, 6)) == ("", round(1 / 61, 6))
    assert isinstance(tea.found, Document)
    assert tea.found.distance == pytest.approx(0.0049627, abs=1e-6)
    by_words = [name for name in names(await db.search("rocket")) if "." in name]
    by_both = {name: hit.score for name, hit in zip(names(both), both, strict=True)}
    near = [one.file_path for one in await db.nearest_documents([1, 0.1])]
    for name in by_words:
        wanted = 1 / (61 + by_words.index(name)) + 1 / (61 + near.index(name))
        assert by_both[name] == pytest.approx(wanted)
    assert names(await db.search("", embedding=[1, 0.1])) == near
