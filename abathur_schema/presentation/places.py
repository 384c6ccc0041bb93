"""Where a thing is declared: the file of `sql/` or `checks/`, and the line in it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ..declared.check_files import CheckFile
from ..declared.declaration import PRAGMA, STEPS, Declared, bundled
from ..schema import text as sql_text
from ..schema.difference import Difference, OtherTable, differences
from ..schema.model import Schema
from ..schema.table_changes import MissingColumn, OtherColumn
from ..schema.text import fold


class Place(NamedTuple):
    """A line of a file, from 1."""

    path: Path
    line: int


class Places:
    """Where the objects, columns, settings and checks of a declaration are."""

    def __init__(self, declared: Declared) -> None:
        self._declared = declared

    @cached_property
    def _files(self) -> Sequence[Path]:
        folders = [bundled("sql"), *([self._declared.own / "sql"] if self._declared.own else [])]
        steps = dict.fromkeys((*STEPS, *self._declared.steps))
        found = (folder / f"{step}.sql" for folder in folders for step in steps)
        return [path for path in found if path.exists()]

    @cached_property
    def _objects(self) -> Mapping[str, tuple[Place, str]]:
        """By folded name, the line of each statement and its text from there on; the column that an
        ALTER TABLE adds is `table.column`.
        """
        found: dict[str, tuple[Place, str]] = {}
        for path in self._files:
            for name, place, text in _statements(path):
                found.setdefault(name, (place, text))
        return found

    def of(self, name: str, column: str = "") -> Place | None:
        """The line of an object, or of a column in it."""
        if added := self._objects.get(f"{fold(name)}.{fold(column)}"):
            return added[0]
        if not (found := self._objects.get(fold(name))):
            return None
        place, text = found
        for number, line in enumerate(text.splitlines()) if column else ():
            words = line.split()
            if words and fold(words[0].strip('"`[]')) == fold(column):
                return Place(place.path, place.line + number)
        return place

    def of_difference(self, difference: Difference) -> Place | None:
        """The line that declares what is different."""
        if isinstance(difference, OtherTable):
            for change in difference.changes:
                if isinstance(change, MissingColumn):
                    return self.of(difference.declared.name, change.column.name)
                if isinstance(change, OtherColumn):
                    return self.of(difference.declared.name, change.declared.name)
        return self.of(difference.declared.name)

    def of_findings(self, live: Schema | None) -> Mapping[str, Place]:
        """The lines of all differences from `live`, by what `verify` says of them."""
        if live is None:
            return {}
        others = differences(self._declared.schema, live, self._declared.names)
        places = ((str(one), self.of_difference(one)) for one in others)
        return {text: place for text, place in places if place}

    def of_words(self, text: str) -> Place | None:
        """The line of the first declared object or setting that a sentence mentions."""
        for word in re.findall(r"\w+", text):
            if place := self.of(word):
                return place
        return None

    @cached_property
    def of_checks(self) -> Mapping[str, Place]:
        """The line of each check of `checks/`, by its name."""
        return {file.name: _top(file) for files in self._declared.checks.values() for file in files}


def _top(file: CheckFile) -> Place:
    return Place(file.path, 1)


_CREATE = re.compile(
    r"^(?:CREATE\s+(?:UNIQUE\s+|VIRTUAL\s+)?(?:TABLE|INDEX|VIEW|TRIGGER)\s+(?:IF\s+NOT\s+EXISTS\s+)?"
    r'|ALTER\s+TABLE\s+|PRAGMA\s+)["`\[]?(?P<name>\w+)["`\]]?'
    r'(?:\s+ADD\s+(?:COLUMN\s+)?["`\[]?(?P<column>\w+))?',
    re.IGNORECASE | re.MULTILINE,
)


def _statements(path: Path) -> Iterator[tuple[str, Place, str]]:
    """The name of what each statement of a file declares, its line, and its text from there on."""
    text = path.read_text("utf-8")
    after = 0
    for statement in sql_text.statements(text):
        start = text.index(statement, after)
        after = start + len(statement)
        if not (found := _CREATE.search(statement)):
            continue
        place = Place(path, text.count("\n", 0, start + found.start()) + 1)
        name = fold(found["name"])
        if found["column"]:
            name = f"{name}.{fold(found['column'])}"
        if path.stem == PRAGMA or not found.group().upper().startswith("PRAGMA"):
            yield name, place, statement[found.start() :]
