"""The schema as a document: a Mermaid diagram, and for each table its columns, keys and indexes,
as Markdown that code hosts show.
"""

import re
from collections.abc import Iterator, Sequence

from .tables import MISSING, OTHER, Document

NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_()-]+")


def schema_page(title: str, introduction: str, tables: Sequence[Document]) -> str:
    """The page of tables as `presentation/tables.py` describes them."""
    parts = [f"# {_inline(title)}", introduction, _diagram(tables)]
    for table in tables:
        parts += _table(table)
    return "\n\n".join(parts) + "\n"


def _diagram(tables: Sequence[Document]) -> str:
    lines = ["```mermaid", "erDiagram"]
    for table in tables:
        lines.append(f"    {_entity(table['name'])} {{")
        keys = {column for key in table["foreign_keys"] for column in key["columns"]}
        for column in table["columns"]:
            marks = ["PK"] if column["key"] else []
            marks += ["FK"] if column["name"] in keys else []
            words = [_word(column["type"]) or "any", _word(column["name"]), ", ".join(marks)]
            lines.append(f"        {' '.join(filter(None, words))}")
        lines.append("    }")
    for table in tables:
        for key in table["foreign_keys"]:
            nullable = all(
                not column["notnull"]
                for column in table["columns"]
                if column["name"] in key["columns"]
            )
            parent = "|o" if nullable else "||"
            label = ", ".join(map(_word, key["columns"]))
            lines.append(
                f'    {_entity(key["table"])} {parent}--o{{ {_entity(table["name"])} : "{label}"'
            )
    return "\n".join([*lines, "```"])


def _entity(name: str) -> str:
    return _word(name) or "unnamed"


def _word(text: str) -> str:
    """A name that Mermaid accepts."""
    return NOT_IN_A_NAME.sub("_", text)


def _table(table: Document) -> Iterator[str]:
    yield f"## {_inline(table['name'])}"
    if table["comment"]:
        yield _inline(table["comment"])
    if table["mark"]:
        lines = [f"- {_inline(line)}" for line in table["differences"]]
        yield "\n".join([f"**{_inline(table['mark'])}**", "", *lines]).rstrip()
    yield "\n".join(_columns(table))
    if table["foreign_keys"]:
        yield "\n".join(_keys(table))
    if table["checks"]:
        yield "\n".join(f"- {_code(line)}" for line in table["checks"])
    if table["indexes"]:
        yield "\n".join(_indexes(table))
    if table["triggers"]:
        names = ", ".join(map(_code, table["triggers"]))
        yield f"Triggers: {names}"


def _columns(table: Document) -> Iterator[str]:
    yield "| column | type | null | default | for |"
    yield "| --- | --- | --- | --- | --- |"
    for column in table["columns"]:
        key = " (key)" if column["key"] else ""
        state = _state(column["state"]) if column["state"] != table["state"] else ""
        default = _code(column["default"]) if column["default"] else ""
        cells = (
            f"{_code(column['name'])}{key}{state}",
            _inline(column["type"]),
            "no" if column["notnull"] else "yes",
            default,
            _inline(column["comment"]),
        )
        yield f"| {' | '.join(cells)} |"


def _keys(table: Document) -> Iterator[str]:
    yield "| foreign key | references | on delete |"
    yield "| --- | --- | --- |"
    for key in table["foreign_keys"]:
        parent = f"{key['table']}({', '.join(key['other_columns'])})"
        state = _state(key["state"]) if key["state"] != table["state"] else ""
        columns = _code(", ".join(key["columns"]))
        yield f"| {columns}{state} | {_code(parent)} | {key['on_delete'].lower()} |"


def _indexes(table: Document) -> Iterator[str]:
    yield "| index | on | serves |"
    yield "| --- | --- | --- |"
    for index in table["indexes"]:
        by_constraint = {"pk": "PRIMARY KEY", "u": "UNIQUE"}.get(index["origin"], "")
        serves = "<br>".join(_inline(query["name"]) for query in index["queries"]) or by_constraint
        state = _state(index["state"]) if index["state"] != table["state"] else ""
        yield f"| {_code(index['name'])}{state} | {_code(index['on'])} | {serves} |"


def _state(state: str) -> str:
    return f" **{state}**" if state in (MISSING, OTHER) else ""


def _code(text: str) -> str:
    """Text between backticks, inside a table."""
    fence = "`" * (1 + max(map(len, re.findall(r"`+", text)), default=0))
    room = " " if "`" in text else ""
    inside = " ".join(text.split()).replace("|", "\\|")
    return f"{fence}{room}{inside}{room}{fence}"


def _inline(text: str) -> str:
    """Text that Markdown shows as it is."""
    escaped = re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", text)
    return " ".join(escaped.split())
