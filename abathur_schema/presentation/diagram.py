"""The diagram of a schema: where each table stands, and the lines of its foreign keys.

Tables stand in layers, each to the right of the tables that it references, as in the layered
drawings of Sugiyama, Tagawa and Toda (1981): cycles are broken, layers follow the longest path, and
within a layer a table stands near those that it is connected with. Written here because of the two
libraries in question one ends the process on a thousand tables (igraph 1.0), and the other has not
been kept up for years (grandalf).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from .tables import Document

LINE = 18
"""The height of a line of text, in the units of the drawing."""

HEAD = 26
LETTER = 6.7
LONGEST = 34
"""The characters of a name that are drawn."""

MOST_COLUMNS = 40
BETWEEN_LAYERS, BETWEEN_TABLES, MARGIN = 90, 26, 16
ROUNDS = 8


@dataclass
class Box:
    """A table as it is drawn, with the place of its upper left corner; `rows` are the columns that
    are drawn, `more` how many are not.
    """

    number: int
    table: Document
    rows: Sequence[Document]
    more: int
    width: float
    layer: int = 0
    x: float = 0
    y: float = 0

    @property
    def height(self) -> float:
        """The height of the whole box."""
        return HEAD + LINE * (len(self.rows) + bool(self.more)) + 8

    def y_of(self, column: str) -> float:
        """The middle of the line of a column."""
        names = [row["name"] for row in self.rows]
        place = names.index(column) if column in names else len(names)
        return self.y + HEAD + LINE * place + LINE / 2 + 2


@dataclass(frozen=True)
class Line:
    """A foreign key: `path` is that of an SVG path, (x, y) the place of its label."""

    path: str
    label: str
    title: str
    state: str
    x: float
    y: float
    anchor: str


@dataclass(frozen=True)
class Diagram:
    """A drawing, with its size."""

    boxes: Sequence[Box]
    lines: Sequence[Line]
    width: float
    height: float


def draw(tables: Sequence[Document]) -> Diagram:
    """Draw tables as `presentation/tables.py` describes them."""
    boxes = [_box(number, table) for number, table in enumerate(tables)]
    by_name = {box.table["name"].lower(): box for box in boxes}
    keys = [
        (box, by_name[key["table"].lower()], key)
        for box in boxes
        for key in box.table["foreign_keys"]
        if key["table"].lower() in by_name
    ]
    near: dict[int, set[int]] = {box.number: set() for box in boxes}
    for child, parent, _ in keys:
        if child is not parent:
            near[child.number].add(parent.number)
            near[parent.number].add(child.number)
    _into_layers(boxes, {(child.number, parent.number) for child, parent, _ in keys})
    connected = [box for box in boxes if near[box.number]]
    right = _place(connected, near)
    below = max((box.y + box.height for box in connected), default=MARGIN - BETWEEN_TABLES)
    _in_rows([box for box in boxes if not near[box.number]], below + BETWEEN_TABLES, right)
    width = max((box.x + box.width for box in boxes), default=0) + 3 * MARGIN
    height = max((box.y + box.height for box in boxes), default=0) + MARGIN
    return Diagram(boxes, [_line(*key) for key in keys], width, height)


def short(text: str) -> str:
    """A name as it is drawn."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _box(number: int, table: Document) -> Box:
    rows = table["columns"][:MOST_COLUMNS]
    texts = [f"{short(row['name'])}  {short(row['type'])}    " for row in rows]
    longest = max(map(len, [short(table["name"]) + "  index different", *texts]))
    more = len(table["columns"]) - len(rows)
    return Box(number, table, rows, more, round(longest * LETTER + 44))


def _into_layers(boxes: Sequence[Box], keys: set[tuple[int, int]]) -> None:
    """Each table one layer to the right of its parents; a key that closes a circle is ignored."""
    parents: dict[int, list[int]] = {box.number: [] for box in boxes}
    for child, parent in sorted(keys):
        if child != parent:
            parents[child].append(parent)
    layers: dict[int, int] = {}
    for box in boxes:
        path: list[tuple[int, Iterator[int]]] = [(box.number, iter(parents[box.number]))]
        open_ = {box.number}
        while path and box.number not in layers:
            number, rest = path[-1]
            following = next((one for one in rest if one not in layers and one not in open_), None)
            if following is not None:
                path.append((following, iter(parents[following])))
                open_.add(following)
                continue
            known = [layers[one] for one in parents[number] if one in layers]
            layers[number] = max(known, default=-1) + 1
            open_.discard(number)
            path.pop()
    for box in boxes:
        box.layer = layers[box.number]


def _place(boxes: Sequence[Box], near: Mapping[int, set[int]]) -> float:
    """Give connected tables their places; returns the right end of the drawing."""
    ordered = sorted(boxes, key=lambda box: (box.layer, box.number))
    layers = [list(group) for _, group in groupby(ordered, key=lambda box: box.layer)]
    middle: dict[int, float] = {}
    x = float(MARGIN)
    for layer in layers:
        for box in layer:
            box.x = x
        x += max(box.width for box in layer) + BETWEEN_LAYERS
        _stack(layer, middle)
    for step in range(ROUNDS):
        for layer in layers if step % 2 == 0 else reversed(layers):
            layer.sort(key=lambda box: _mean(middle, near[box.number], middle[box.number]))
            _stack(layer, middle)
    tallest = max((layer[-1].y + layer[-1].height for layer in layers), default=0)
    for layer in layers:
        down = (tallest - layer[-1].y - layer[-1].height) / 2
        for box in layer:
            box.y += down
    return max(x - BETWEEN_LAYERS, 900)


def _stack(layer: Sequence[Box], middle: dict[int, float]) -> None:
    y = float(MARGIN)
    for box in layer:
        box.y = y
        middle[box.number] = y + box.height / 2
        y += box.height + BETWEEN_TABLES


def _mean(middle: Mapping[int, float], numbers: set[int], otherwise: float) -> float:
    places = [middle[number] for number in numbers if number in middle]
    return sum(places) / len(places) if places else otherwise


def _in_rows(boxes: Sequence[Box], top: float, right: float) -> None:
    """Tables that are connected with nothing, in rows below the others; many make wide rows."""
    right = max(right, (sum(box.width * box.height for box in boxes) * 1.6) ** 0.5)
    x, y, tallest = float(MARGIN), top, 0.0
    for box in boxes:
        if x > MARGIN and x + box.width > right:
            x, y, tallest = float(MARGIN), y + tallest + BETWEEN_TABLES, 0.0
        box.x, box.y = x, y
        x += box.width + BETWEEN_TABLES
        tallest = max(tallest, box.height)


def _line(child: Box, parent: Box, key: Document) -> Line:
    start = child.y_of(key["columns"][0])
    other = key["other_columns"][0] if key["other_columns"] else ""
    end = parent.y_of(other) if other else parent.y + HEAD / 2
    if child.layer > parent.layer:
        from_x, to_x, out = child.x, parent.x + parent.width, -1
    else:  # beside it, or against the order: around the right side
        from_x, to_x, out = child.x + child.width, parent.x + parent.width, 1
    bend = 30 if out > 0 else min(60.0, max(30.0, abs(from_x - to_x) / 2))
    path = (
        f"M{from_x:.0f} {start:.0f}C{from_x + out * bend:.0f} {start:.0f}"
        f" {to_x + bend:.0f} {end:.0f} {to_x:.0f} {end:.0f}"
    )
    action = "" if key["on_delete"] == "NO ACTION" else key["on_delete"]
    title = (
        f"{child.table['name']}({', '.join(key['columns'])}) references"
        f" {parent.table['name']}({', '.join(key['other_columns'])}) ON DELETE {key['on_delete']}"
    )
    anchor = "end" if out < 0 else "start"
    return Line(path, action, title, key["state"], from_x + 6 * out, start - 4, anchor)
