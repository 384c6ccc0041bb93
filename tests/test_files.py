"""Files that we write are for their owner only, and follow no planted link."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from abathur_schema.storage.durable_files import create, new_file
from tests.support.bundle import Bundle


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A user whose new files anybody may read and write."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
@pytest.mark.parametrize("content", [b"", b"no database, but private" * 9])
def test_report_and_preserved_state_are_for_their_owner_only(content: bytes, empty: Bundle) -> None:
    if content:
        empty.path.write_bytes(content)  # kept byte for byte
    else:
        empty.sql("CREATE VIEW tasks AS SELECT 1")  # kept by SQLite's backup
    assert empty.run("init") == 3
    found = [empty.reports, *empty.reports.rglob("*")]
    assert {path.name for path in found} >= {"database.db", "escalation.md", "statements.sql"}
    for path in found:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


@pytest.mark.parametrize("target", ["precious", "missing"])
def test_planted_link_is_not_followed(target: str, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    place = tmp_path / "report.json"
    for link in (place, tmp_path / f".report.json.{os.getpid()}.tmp"):
        link.symlink_to(tmp_path / target)
    with pytest.raises(FileExistsError):
        create(place)
    with pytest.raises(FileExistsError), new_file(place):
        pass
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "missing").exists()


def test_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "report.json").symlink_to(tmp_path / "precious")
    with new_file(tmp_path / "report.json") as file:
        file.write(b"new")
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / "report.json").read_text() == "new"
    assert not (tmp_path / "report.json").is_symlink()
