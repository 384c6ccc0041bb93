"""Random older tables: declared tables, mutated and written in one of many spellings."""

from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from abathur_schema.schema.create_table import definitions
from abathur_schema.schema.model import Table
from tests.support.spellings import (
    ACTIONS,
    COLLATIONS,
    COMMENTS,
    CONFLICTS,
    DEFAULTS,
    EXPRESSIONS,
    NAMED,
    ODD_NAMES,
    PARENTS,
    TYPES,
)


@dataclass
class Column:
    """A column as it will be written; `name` includes its quotes."""

    name: str
    type: str
    clauses: list[str]
    declared_name: str = ""

    def __str__(self) -> str:
        return " ".join([self.name, self.type, *self.clauses])


@dataclass
class Older:
    """A table as it will be written."""

    name: str
    columns: list[Column]
    constraints: list[str]
    options: list[str]

    @classmethod
    def of(cls, table: Table) -> "Older":
        """Return a table in its declared form."""
        parts = definitions(table.sql)
        columns = [
            Column(
                one.column, table.columns[number].type, [c.text for c in one.clauses], one.column
            )
            for number, one in enumerate(parts)
            if one.column
        ]
        return cls(table.name, columns, [one.text for one in parts if not one.column], [])


def _column(draw: DrawFn, table: Older) -> Column:
    return draw(st.sampled_from(table.columns))


def name_in(draw: DrawFn, table: Older) -> str:
    return _column(draw, table).name


def _drop_columns(draw: DrawFn, table: Older) -> None:
    at = draw(st.integers(0, len(table.columns) - 1))
    del table.columns[max(at, 1) : at + draw(st.integers(1, 4))]


def _move_column(draw: DrawFn, table: Older) -> None:
    column = _column(draw, table)
    table.columns.remove(column)
    table.columns.insert(draw(st.integers(0, len(table.columns))), column)


def _other_type(draw: DrawFn, table: Older) -> None:
    _column(draw, table).type = draw(st.sampled_from(TYPES))


def _drop_clause(draw: DrawFn, table: Older) -> None:
    if having := [column for column in table.columns if column.clauses]:
        column = draw(st.sampled_from(having))
        column.clauses.pop(draw(st.integers(0, len(column.clauses) - 1)))


def _drop_constraint(draw: DrawFn, table: Older) -> None:
    if table.constraints:
        table.constraints.pop(draw(st.integers(0, len(table.constraints) - 1)))


def _other_default(draw: DrawFn, table: Older) -> None:
    column = _column(draw, table)
    column.clauses = [text for text in column.clauses if not text.startswith("DEFAULT")]
    column.clauses.append(f"DEFAULT {draw(st.sampled_from(DEFAULTS))}")


def _clause(draw: DrawFn, name: str) -> str:
    clause: str = draw(
        st.one_of(
            st.sampled_from(CONFLICTS).map("NOT NULL{}".format),
            st.sampled_from(CONFLICTS).map("UNIQUE{}".format),
            st.sampled_from(COLLATIONS).map("COLLATE {}".format),
            st.sampled_from(EXPRESSIONS).map(lambda text: f"CHECK ({text.format(name)})"),
            _references(),
            st.just("NULL"),
        )
    )
    named: str = draw(st.sampled_from(NAMED))
    return named + clause


def _references() -> SearchStrategy[str]:
    pairs = st.tuples(st.sampled_from(PARENTS), st.sampled_from(ACTIONS))
    return pairs.map(lambda pair: f"REFERENCES {pair[0]}{pair[1]}")


def _add_clause(draw: DrawFn, table: Older) -> None:
    column = _column(draw, table)
    at = draw(st.integers(0, len(column.clauses)))
    column.clauses.insert(at, _clause(draw, column.name))


def _other_actions(draw: DrawFn, table: Older) -> None:
    for column in table.columns:
        for at, text in enumerate(column.clauses):
            if text.startswith("REFERENCES"):
                column.clauses[at] = text.partition(" ON ")[0] + draw(st.sampled_from(ACTIONS))
                return


def _add_constraint(draw: DrawFn, table: Older) -> None:
    one, other = name_in(draw, table), name_in(draw, table)
    collation = draw(st.sampled_from(("", *(f" COLLATE {name}" for name in COLLATIONS))))
    text = draw(
        st.one_of(
            st.sampled_from(CONFLICTS).map(f"UNIQUE ({one}{collation}, {other}){{}}".format),
            st.sampled_from(EXPRESSIONS).map(lambda text: f"CHECK ({text.format(one)})"),
            _references().map(f"FOREIGN KEY ({one}) {{}}".format),
            st.sampled_from(ACTIONS).map(
                f'FOREIGN KEY ({one}, {other}) REFERENCES state (task_id, "key"){{}}'.format
            ),
        )
    )
    at = draw(st.integers(0, len(table.constraints)))
    table.constraints.insert(at, draw(st.sampled_from(NAMED)) + text)


def _other_key(draw: DrawFn, table: Older) -> None:
    for column in table.columns:
        column.clauses = [text for text in column.clauses if not text.startswith("PRIMARY")]
    table.constraints = [text for text in table.constraints if not text.startswith("PRIMARY")]
    names = [table.columns[0].name]
    match draw(st.integers(0, 4)):
        case 0:
            return
        case 1:
            names.append(name_in(draw, table))
        case 2:
            text = draw(st.sampled_from(("DESC", "ASC", "ON CONFLICT REPLACE", "NOT NULL")))
            table.columns[0].clauses.insert(0, f"PRIMARY KEY {text}")
            return
    conflict = draw(st.sampled_from(CONFLICTS))
    table.constraints.append(f"PRIMARY KEY ({', '.join(names)}){conflict}")


def _no_autoincrement(_: DrawFn, table: Older) -> None:
    for column in table.columns:
        column.clauses = [text.replace(" AUTOINCREMENT", "") for text in column.clauses]


def _option(draw: DrawFn, table: Older) -> None:
    table.options.append(draw(st.sampled_from(("WITHOUT ROWID", "STRICT"))))
    if "STRICT" in table.options:
        for column in table.columns:
            if column.type not in ("TEXT", "INTEGER", "REAL", "BLOB", "INT", "ANY"):
                column.type = "TEXT"
    elif table.options:
        _no_autoincrement(draw, table)


def _add_column(draw: DrawFn, table: Older) -> None:
    name, of = draw(st.sampled_from(ODD_NAMES)), name_in(draw, table)
    clauses = draw(st.lists(st.integers(0, 2), max_size=3))
    texts = [
        f"DEFAULT {draw(st.sampled_from(DEFAULTS))}" if kind == 0 else _clause(draw, name)
        for kind in clauses
    ]
    generated = draw(st.sampled_from(("", "", "AS ({})", "GENERATED ALWAYS AS ({}) STORED")))
    if generated:
        texts.append(generated.format(draw(st.sampled_from(EXPRESSIONS)).format(of)))
    column = Column(name, draw(st.sampled_from(TYPES)), texts)
    table.columns.insert(draw(st.integers(0, len(table.columns))), column)


def _old_name(_: DrawFn, table: Older) -> None:
    for column in table.columns:
        if column.name == "prompt":
            column.name = "template_name"


MUTATIONS = (
    *(_drop_columns, _drop_columns, _move_column, _other_type, _other_type, _drop_clause),
    *(_drop_clause, _drop_constraint, _other_default, _add_clause, _add_clause, _other_actions),
    *(_add_constraint, _add_constraint, _other_key, _no_autoincrement, _option, _add_column),
    *(_add_column, _old_name),
)


def written(draw: DrawFn, table: Older) -> str:
    """Return the CREATE TABLE statement in one of many spellings."""
    quote = draw(st.sampled_from(("{}", "{}", '"{}"', "[{}]", "`{}`", "'{}'")))
    for column in table.columns:
        if column.name == column.declared_name:
            column.name = quote.format(column.name)
    comment = draw(st.sampled_from(COMMENTS))
    # SQLite does not require commas between table constraints.
    comma = draw(st.sampled_from((",", ",", "")))
    constraints = f"{comma}{comment} ".join(table.constraints)
    parts = f",{comment} ".join([*map(str, table.columns), *filter(None, [constraints])])
    name = quote.format(table.name)
    return f"CREATE TABLE {name} ({comment}{parts}{comment}\n) {', '.join(table.options)}".strip()
