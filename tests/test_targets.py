"""What `verify` tells of the performance targets: whether this database is within them."""

import pytest

from abathur_schema.proof import targets
from abathur_schema.proof.targets import TARGETS
from tests.support.bundle import Bundle, reports
from tests.support.embeddings import Embedded, blob, insert

MEMORY = (
    "INSERT INTO memory_entries (namespace, key, value, memory_type) VALUES ('user:a', 'k{}', '1',"
    " 'semantic')"
)


def told(bundle: Bundle) -> list[str]:
    """What the newest report says, in its checks and in its notes."""
    assert bundle.run("verify") == 0
    report = reports(bundle.reports)[-1]
    (found,) = (check["findings"] for check in report["checks"] if check["name"] == TARGETS)
    assert [
        line for line in report["quality_metrics"]["performance_notes"] if line in found
    ] == found
    context = report["orchestration_context"]["context_for_next_agent"]
    assert context["performance_targets"] == {
        "read_ms": 50,
        "full_text_search_ms": 50,
        "semantic_search_ms": 500,
    }
    lines: list[str] = found
    return lines


def test_each_target_is_told_where_it_concerns_something(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told(bundle) == []
    bundle.sql(MEMORY.format(1))
    bundle.sql(MEMORY.format(2))
    memories = "within what was measured (2 memories here, 1,000,000 measured)"
    assert told(bundle) == [f"reads in 50 ms: {memories}"]
    assert bundle.run("search") == 0
    rows = [Embedded(number, None, "m", blob(1, 2, 3)) for number in range(1, 4)]
    insert(bundle.path, [*rows, Embedded(4, None, "m", None), Embedded(5, None, "n", blob(1))])
    size = "(48 bytes here, 921,600,000 measured)"
    assert told(bundle) == [
        f"reads in 50 ms: {memories}",
        f"full-text search in 50 ms: {memories}",
        f"semantic search in 500 ms: within what was measured {size}",
    ]
    monkeypatch.setattr(targets, "VECTORS", 47)
    monkeypatch.setattr(targets, "MEMORIES", 1)
    assert [line.partition(": ")[2].partition(" ")[0] for line in told(bundle)] == ["BEYOND"] * 3
