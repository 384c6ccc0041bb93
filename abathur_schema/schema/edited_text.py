"""Edit some definitions of a CREATE TABLE and keep the rest of it character by character."""

from collections.abc import Iterable, Sequence
from functools import cached_property

from .create_table import Clause, Definition, body, definitions
from .text import TOKEN


class Part:
    """One definition being edited; without a name and clauses it is dropped."""

    def __init__(self, of: Definition) -> None:
        self.of = of
        self.column = of.column
        self.is_changed = False

    @cached_property
    def type(self) -> str:
        """The type of a column."""
        return self.of.type

    @cached_property
    def clauses(self) -> list[Clause]:
        """Its clauses, in order."""
        return [*self.of.clauses]

    def keep(self, clauses: Iterable[Clause]) -> None:
        """Keep only these clauses."""
        kept = list(clauses)
        self.is_changed = self.is_changed or kept != self.clauses
        self.clauses = kept

    def __str__(self) -> str:
        texts = [clause.text for clause in self.clauses]
        return " ".join(filter(None, [self.of.spelled, self.type, *texts]))


class Text:
    """A CREATE TABLE being edited; `columns` and `constraints` are appended to its own."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.parts = [Part(one) for one in definitions(sql)]
        self.columns: list[str] = []
        self.constraints: list[str] = []
        self.tail: str | None = None

    def __str__(self) -> str:
        sql = self.sql
        if self.tail is not None:
            _, end = body(sql)
            sql = f"{sql[: end + 1]}{self.tail}"
        edits = [(one.of.start, one.of.end, str(one)) for one in self.parts if one.is_changed]
        edits += (_comma_before(sql, self.parts, start) for start, _, text in [*edits] if not text)
        last_column = max(one.of.end for one in self.parts if one.column)
        last = max(one.of.end for one in self.parts)
        # Of two insertions at one offset, the one made last ends up first.
        edits.append((last, last, "".join(f",\n    {one}" for one in self.constraints)))
        edits.append((last_column, last_column, "".join(f",\n    {one}" for one in self.columns)))
        for start, until, text in sorted(edits, key=lambda edit: edit[:2], reverse=True):
            sql = sql[:start] + text + sql[until:]
        return sql


def _comma_before(sql: str, parts: Sequence[Part], start: int) -> tuple[int, int, str]:
    """The comma to remove with a definition, if there is one; comments between them stay."""
    before = max(one.of.end for one in parts if one.of.end <= start)
    signs = (one for one in TOKEN.finditer(sql, before, start) if one.lastgroup == "sign")
    comma = next((one for one in signs if one.group() == ","), None)
    return (comma.start(), comma.end(), "") if comma else (start, start, "")
