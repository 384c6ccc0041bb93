"""Model what may be left in files and folders if the power fails before a sync."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

SECTOR = 512


class Write(NamedTuple):
    """Bytes written at an offset."""

    offset: int
    data: bytes


class Resize(NamedTuple):
    """A file truncated or extended."""

    size: int


@dataclass(eq=False)
class File:
    """The durable content of a file, and the changes made since."""

    synced: bytes = b""
    later: list[Write | Resize] = field(default_factory=list)

    def sync(self) -> None:
        """Make all changes durable."""
        self.synced = self.left(Chance.all())
        self.later.clear()

    def left(self, chance: "Chance") -> bytes:
        """Return the content that may be left."""
        content, size = bytearray(self.synced), len(self.synced)
        for change in self.later:
            if isinstance(change, Resize):
                size = change.size
                if chance.keeps():
                    chance.resize(content, size)
                continue
            size = max(size, change.offset + len(change.data))
            for part in sectors(change) if chance.tears else [change]:
                if chance.keeps():
                    end = part.offset + len(part.data)
                    chance.resize(content, max(len(content), end))
                    content[part.offset : end] = part.data
        if self.later and chance.keeps():
            chance.resize(content, size)
        return bytes(content)


def sectors(write: Write) -> Iterator[Write]:
    """Split a write into parts, one for each sector."""
    start, last = write.offset, write.offset + len(write.data)
    while start < last:
        end = min(last, (start // SECTOR + 1) * SECTOR)
        yield Write(start, write.data[start - write.offset : end - write.offset])
        start = end


@dataclass(eq=False)
class Folder:
    """The durable names in a folder, and the changes made since: each dict is applied atomically;
    None marks a removed name.
    """

    synced: "dict[str, File | Folder]" = field(default_factory=dict)
    later: "list[dict[str, File | Folder | None]]" = field(default_factory=list)

    def sync(self) -> None:
        """Make the names durable, but not the files and folders they refer to."""
        self.synced = self.left(Chance.all())
        self.later.clear()

    def left(self, chance: "Chance") -> "dict[str, File | Folder]":
        """Return the names that may be left."""
        names: dict[str, File | Folder | None] = {**self.synced}
        for change in self.later:
            if chance.keeps():
                names |= change
        return {name: node for name, node in names.items() if node}


@dataclass
class Chance:
    """How much of the unsynced changes to one file or folder survives: each part with a probability
    of `share`, at random, seeded by `seed`.
    """

    share: float
    seed: str = ""

    def __post_init__(self) -> None:
        self._random = Random(self.seed)
        self._garbage = self._random.random() < 0.5
        self.tears = 0 < self.share < 1

    @classmethod
    def all(cls) -> "Chance":
        """Return a chance that keeps every part."""
        return cls(1)

    def keeps(self) -> bool:
        """Return whether the next part survives."""
        return self.share == 1 or self._random.random() < self.share

    def resize(self, content: bytearray, size: int) -> None:
        """Truncate the content, or extend it with bytes that were never written."""
        more = max(0, size - len(content))
        garbage = self._garbage and self.tears
        content.extend(self._random.randbytes(more) if garbage else bytes(more))
        del content[size:]
