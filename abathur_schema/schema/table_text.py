"""Rewrite the CREATE TABLE of a live table so that it meets its declaration.

What an application added stays in place, character by character; what is declared takes its
declared form. The text serves both to edit the schema in place and to rebuild the table.
"""

from collections.abc import Iterable, Mapping, Sequence

from sqlite_utils.db import ForeignKey

from .clauses import collations, key_name
from .create_table import (
    Clause,
    Definition,
    Reference,
    body,
    check_of,
    deferral,
    definitions,
    plain,
    reference_of,
)
from .edited_text import Part, Text
from .model import Schema, Table, reference
from .table_changes import (
    FormerForeignKey,
    MissingCheck,
    MissingColumn,
    MissingForeignKey,
    MissingUnique,
    OtherAction,
    OtherClauses,
    OtherColumn,
    OtherOption,
    OtherPrimaryKey,
    TableChange,
)
from .text import TOKEN, fold, quoted, tokens

_SAYS = {
    "null": "not",
    "as": "generated",
    **{word: word for word in ("not", "default", "collate", "generated")},
}
"""The property that a clause with this keyword sets, where a column can have only one such clause.
"""


def reformed(
    declared: Schema, live: Schema, wanted: Table, table: Table, changes: Sequence[TableChange]
) -> str:
    """The text of `table` of `live` after all of `changes`."""
    text = Text(table.sql)
    of_wanted = definitions(wanted.sql)
    names = {fold(one.column.name) for one in changes if isinstance(one, MissingColumn)}
    added = {fold(one.column): one for one in of_wanted if fold(one.column) in names}
    text.columns += (plain(one.text) for one in added.values())
    if any(isinstance(one, OtherClauses) for one in changes):
        from .kept_uniques import keep_uniques, recollated  # hardly a table needs it

        keep_uniques(text, recollated(live, table, wanted))
    for change in changes:
        if comes_with(change, added):
            continue
        match change:
            case OtherColumn(declared=column, live=there):
                about = {
                    "type": column.type != there.type or there.generated,
                    "not": column.notnull != there.notnull,
                    "default": column.default != there.default,
                    "generated": column.generated != there.generated,
                }
                _respell(text, of_wanted, column.name, {key for key in about if about[key]})
            case OtherClauses(of=of):
                name = of.removeprefix("column ")
                if name != of:
                    _respell(text, of_wanted, name, {"not", "collate"})
                _replace_key(text, of_wanted, of)
            case OtherPrimaryKey():
                _other_primary_key(text, of_wanted)
            case OtherOption(option="AUTOINCREMENT"):
                _other_primary_key(text, of_wanted)
            case OtherOption(option, is_declared):
                _, end = body(table.sql)
                _other_option(text, option, is_declared, table, end)
            case MissingCheck(check):
                text.constraints.append(check.sql)
            case MissingUnique(columns):
                text.constraints.append(_unique(wanted, columns))
            case MissingForeignKey(key):
                text.constraints.append(_foreign_key(declared, of_wanted, reference(key)))
            case OtherAction(key):
                _replace_actions(text, live, key)
            case FormerForeignKey(key):
                _drop_key(text, live, reference(key))
    return str(text)


def comes_with(change: TableChange, added: Mapping[str, Definition]) -> bool:
    """Whether adding these columns (by folded name) with their text also makes `change`."""
    match change:
        case MissingColumn(column):
            return fold(column.name) in added
        case MissingCheck(check):
            return fold(check.column) in added
        case MissingUnique(columns=(name,)):
            return name in added and added[name].has("unique")
        case MissingForeignKey(key) if len(key.columns) == 1:
            text = added.get(fold(key.columns[0]))
            return text is not None and text.has("references")
    return False


def only_declared(declared: Schema, live: Schema, wanted: Table, table: Table) -> str:
    """The text of `table` reduced to what is declared, which stays in its live form.

    Deferred foreign keys become immediate, so that a trial row is rejected at once.
    """
    uniques = {f"UNIQUE ({', '.join(names)})" for names in declared.uniques_of(wanted.name)}
    checks = {check.text for check in table.check_constraints if check.expression in wanted.checks}
    keys = {reference(key) for key in wanted.foreign_keys}
    parts = definitions(table.sql)
    of_columns = collations(parts)

    def is_declared(one: Definition, clause: Clause) -> bool:
        if clause.keyword == "unique":
            return key_name(one, clause, of_columns) in uniques
        if clause.keyword == "check":
            return check_of(clause).text in checks
        found = reference_of(one, clause)
        return not found or _with_key(found, live) in keys

    kept = []
    for one in parts:
        if not one.column or fold(one.column) in wanted.column:
            part = Part(one)
            part.keep(_at_once(clause) for clause in one.clauses if is_declared(one, clause))
            kept.append(str(part))
    start, end = body(table.sql)
    return f"{table.sql[:start]}({', '.join(filter(None, kept))}{table.sql[end:]}"


def _at_once(clause: Clause) -> Clause:
    late = deferral(clause) if clause.keyword in ("references", "foreign") else ""
    return clause._replace(text=clause.text.removesuffix(late).rstrip()) if late else clause


def _column(parts: Iterable[Definition], name: str) -> Definition:
    return next(one for one in parts if one.column and fold(one.column) == fold(name))


def _part(text: Text, name: str) -> Part:
    named = (one for one in text.parts if one.column)
    return next(one for one in named if fold(one.column) == fold(name))


def _respell(text: Text, of_wanted: Sequence[Definition], name: str, about: set[str]) -> None:
    """Set those properties of a column that are in `about` to their declared form."""
    part, wanted = _part(text, name), _column(of_wanted, name)
    if "type" in about:
        part.type = wanted.type
    kept = [one for one in part.clauses if _SAYS.get(one.keyword) not in about]
    ours = [one for one in wanted.clauses if _SAYS.get(one.keyword) in about]
    part.clauses, part.is_changed = [*ours, *kept], True


def _replace_key(text: Text, of_wanted: Sequence[Definition], of: str) -> None:
    """Replace a UNIQUE or PRIMARY KEY, in place, by its declared form."""
    wanted = collations(of_wanted)
    named = ((one, c) for one in of_wanted for c in one.clauses if key_name(one, c, wanted) == of)
    ours = next(named, None)
    there = collations(text.parts)
    for part in text.parts:
        for at, clause in enumerate(part.clauses):
            if ours and key_name(part.of, clause, there) == of:
                part.clauses[at] = ours[1]
                if bool(part.column) != bool(ours[0].column):
                    part.clauses[at] = _moved(clause, ours[1])
                part.is_changed = True


def _moved(there: Clause, ours: Clause) -> Clause:
    """`there` with the ON CONFLICT of `ours`; one is a column constraint, the other is not."""
    at, conflict = (one.text.lower().find("on conflict") for one in (there, ours))
    text = there.text[:at].rstrip() if at >= 0 else there.text
    return there._replace(text=f"{text} {ours.text[conflict:]}" if conflict >= 0 else text)


def _other_primary_key(text: Text, of_wanted: Sequence[Definition]) -> None:
    for part in text.parts:
        part.keep(clause for clause in part.clauses if clause.keyword != "primary")
    for one in of_wanted:
        for clause in one.clauses:
            if clause.keyword != "primary":
                continue
            if not one.column:
                if clause.text not in text.constraints:
                    text.constraints.append(clause.text)
            elif any(fold(part.column) == fold(one.column) for part in text.parts):
                part = _part(text, one.column)
                part.clauses, part.is_changed = [clause, *part.clauses], True


def _other_option(text: Text, option: str, is_declared: bool, table: Table, end: int) -> None:
    tail = text.tail if text.tail is not None else table.sql[end + 1 :]
    said = " ".join(token.text.upper() for token in tokens(tail))
    options = {one.strip() for one in said.split(",")} - {"", option}
    options |= {option} if is_declared else set()
    text.tail = f" {', '.join(sorted(options))}" if options else ""
    if option == "STRICT" and not is_declared:
        # In a column of type ANY a value stays as it is; elsewhere only in one without a type.
        for part in text.parts:
            if part.column and part.type.upper() == "ANY":
                part.type, part.is_changed = "", True


def _unique(wanted: Table, columns: tuple[str, ...]) -> str:
    names = []
    for compared in columns:
        name, collate, collation = compared.partition(" collate ")
        names.append(f"{quoted(wanted.column[name].name)}{collate.upper()}{collation}")
    conflict = wanted.clauses.get(f"UNIQUE ({', '.join(columns)})", ())
    return " ".join([f"UNIQUE ({', '.join(names)})", *conflict])


def _with_key(found: Reference, live: Schema) -> tuple[object, ...]:
    """A reference with the parent's PRIMARY KEY filled in where the text leaves it out."""
    parent = live.tables.get(found.parent)
    return (found.columns, found.parent, found.key or (parent.folded_key if parent else ()))


def _foreign_key(
    declared: Schema, of_wanted: Sequence[Definition], wanted: tuple[object, ...]
) -> str:
    """The declared foreign key as a constraint of the table."""
    for one in of_wanted:
        for clause in one.clauses if one.says("references") else ():
            found = reference_of(one, clause)
            if found and _with_key(found, declared) == wanted:
                return _of_table(one.spelled, clause.text)
    raise ValueError(f"no foreign key {wanted} is declared")


def _of_table(column: str, clause: str) -> str:
    """A foreign key clause as a table constraint; `column` is empty if it already is one."""
    if not column:
        return clause
    words = (match for match in TOKEN.finditer(clause) if match.lastgroup == "word")
    at = next(match.start() for match in words if match.group().lower() == "references")
    return f"{clause[:at]}FOREIGN KEY ({column}) {clause[at:]}"


def _replace_actions(text: Text, live: Schema, key: ForeignKey) -> None:
    """Give a foreign key its declared actions, keeping its name and deferral."""
    wanted = reference(key)
    pairs = (("ON DELETE", key.on_delete), ("ON UPDATE", key.on_update))
    actions = " ".join(f"{event} {action}" for event, action in pairs if action != "NO ACTION")
    for part in text.parts:
        for at, clause in enumerate(part.clauses if part.of.says("references") else ()):
            found = reference_of(part.of, clause)
            if not found or _with_key(found, live) != wanted:
                continue
            words = [one for one in TOKEN.finditer(clause.text) if one.lastgroup != "space"]
            start = next(n for n, one in enumerate(words) if one.group().lower() == "references")
            end = words[start + 1].end()
            if start + 2 < len(words) and words[start + 2].group() == "(":
                end = next(one for one in words[start + 2 :] if one.group() == ")").end()
            spelled = " ".join(filter(None, [clause.text[:end], actions, deferral(clause)]))
            part.clauses[at], part.is_changed = clause._replace(text=spelled), True


def _drop_key(text: Text, live: Schema, gone: tuple[object, ...]) -> None:
    for part in text.parts:
        if not part.of.says("references"):
            continue
        kept = []
        for clause in part.clauses:
            found = reference_of(part.of, clause)
            if not found or not _is_reference(found, gone, live):
                kept.append(clause)
        part.keep(kept)


def _is_reference(found: Reference, gone: tuple[object, ...], live: Schema) -> bool:
    if _with_key(found, live) == gone:
        return True
    # The key of a parent that does not exist is unknown.
    return found.parent not in live.tables and (found.columns, found.parent) == gone[:2]
