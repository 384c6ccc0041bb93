"""Model what a disk may hold after a power loss, given the system calls a process actually made.

Only synced data is certain. The assumptions are the weaker of those in "Atomic Commit In SQLite"
(SQLite documentation) and ALICE (Pillai et al., "All File Systems Are Not Created Equal", OSDI
2014):

- `fsync` and `fdatasync` of a file make its content durable, but not its name. On a folder, they
  make the names in it durable (created, renamed, removed), but not its own name.
- Any part of the unsynced writes may survive, in any order, in sectors of 512 bytes. A file may get
  its new size before its new content, with zeros or garbage until then. Bytes next to a write are
  unchanged (SQLite's "powersafe overwrite").
- Any of the unsynced changes to the names in a folder may survive, in any order. A single rename is
  atomic.
- `-shm` files are memory, and are lost.

Not modelled: a disk that falsely claims to have synced, sectors that decay or are torn internally,
owners and modes of files, and writes through a memory map (only `-shm` is written that way here;
any unknown call ends the test).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.support.unsynced import Chance, File, Folder, Resize, Write

KNOWN = (
    *("openat", "lseek", "write", "pwrite64", "ftruncate"),
    *("rename", "unlink", "mkdir", "rmdir", "fsync", "fdatasync"),
)
UNKNOWN = (
    *("writev", "pwritev", "pwritev2", "truncate", "fallocate", "copy_file_range", "sendfile"),
    *("open", "creat", "link", "linkat", "symlink", "symlinkat", "renameat", "renameat2"),
    *("unlinkat", "mkdirat"),
)
TRACE = ("-xx", "-s", "100000000", "-e", f"trace={','.join(f'?{one}' for one in KNOWN + UNKNOWN)}")
"""The strace options for a trace that `Disk.follow` can read: with all bytes, in hex."""

State = Mapping[str, bytes | None]
"""The content of files by path; None for a folder."""


class Loss(NamedTuple):
    """A power loss, and the shares of unsynced writes and of changed names that survive it.

    None: a separate share for each file and folder, at random, seeded by `seed`.
    """

    writes: float | None
    names: float | None
    seed: int = 0

    def __str__(self) -> str:
        if self.writes is None or self.names is None:
            return f"some of what was not synced is there (seed {self.seed})"
        share: Mapping[float, str] = {0: "none", 1: "all"}
        return f"{share[self.writes]} of the writes and {share[self.names]} of the names are there"

    def chance(self, share: float | None, path: str) -> Chance:
        """Return the chance for one file or folder."""
        seed = f"{self.seed} {re.sub('[0-9]{2,}', 'N', path)}"
        return Chance(Random(seed).choice((0, 0.5, 0.9, 1)) if share is None else share, seed)


class Disk:
    """The files below `root`; those in `start` are already durable."""

    def __init__(self, root: Path, start: Path) -> None:
        self.root = root
        self.top = _stored(start)
        self._at: dict[str, int] = {}  # where the next `write` goes, by descriptor

    def left(self, loss: Loss) -> State:
        """Return what is left if the power fails now."""
        return dict(self._left(self.top, "", loss))

    def _left(self, folder: Folder, path: str, loss: Loss) -> Iterator[tuple[str, bytes | None]]:
        for name, node in folder.left(loss.chance(loss.names, path)).items():
            below = f"{path}/{name}".lstrip("/")
            if isinstance(node, Folder):
                yield below, None
                yield from self._left(node, below, loss)
            elif not name.endswith("-shm"):
                yield below, node.left(loss.chance(loss.writes, below))

    def follow(self, lines: Sequence[str]) -> Iterator[tuple[str, bool]]:
        """Replay a trace from strace. Before each call that may change what a power loss leaves,
        yield the call and whether it is a sync.
        """
        for line in whole(lines):
            found = re.match(r"\d+ +(\w+)\((.*)\) += (\d+)", line)
            if not found:  # the call failed, or the process ended
                continue
            call, arguments, result = found.groups()
            if call == "lseek":
                self._at[arguments.partition("<")[0]] = int(result)
                continue
            path = self._path(arguments)
            if call == "openat":
                self._at[result] = 0
                if not path or "O_CREAT" not in arguments or self._find(path):
                    continue
                assert "O_APPEND" not in arguments
            if path and not path.endswith("-shm"):
                yield f"{call} {path}", call in ("fsync", "fdatasync")
                self._do(call, path, arguments)

    def _do(self, call: str, path: str, arguments: str) -> None:
        assert call in KNOWN, f"{call} {path}"
        node = self._find(path)
        if call == "openat":
            self._rename({path: File()})
        elif call == "mkdir":
            self._rename({path: Folder()})
        elif call in ("unlink", "rmdir"):
            self._rename({path: None})
        elif call == "rename":
            new = self._path(arguments.partition(", ")[2])
            assert new
            assert Path(path).parent == Path(new).parent
            self._rename({path: None, new: node})
        elif call in ("fsync", "fdatasync"):
            assert node, path
            node.sync()
        else:
            assert isinstance(node, File), path
            node.later.append(self._change(call, arguments))

    def _change(self, call: str, arguments: str) -> Write | Resize:
        descriptor = arguments.partition("<")[0]
        numbers = [int(one) for one in re.findall(r", (\d+)", arguments)]
        if call == "ftruncate":
            return Resize(numbers[0])
        data = _bytes(arguments.split('"')[1])
        assert len(data) == numbers[0]
        if call == "pwrite64":
            return Write(numbers[1], data)
        self._at[descriptor] += len(data)
        return Write(self._at[descriptor] - len(data), data)

    def _path(self, arguments: str) -> str | None:
        """Return the first path in the arguments of a call, relative to the root; None if it is
        elsewhere, or the file has no name.
        """
        found = re.match(
            r'(?:\d+<|(?:AT_FDCWD<[^>]*>, )?")([^>"]*)[>"](?! *\(deleted\))', arguments
        )
        if not found or not re.fullmatch(r"(\\x[0-9a-f]{2})+", found[1]):
            return None
        text = _bytes(found[1]).decode("utf-8", "replace")
        if arguments[0].isdigit() and not text.startswith("/"):  # a pipe
            return None
        path = Path(self.root, text)
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else None

    def _find(self, path: str) -> File | Folder | None:
        node: File | Folder | None = self.top
        for name in Path(path).parts:
            assert isinstance(node, Folder)
            node = node.left(Chance.all()).get(name)
        return node

    def _rename(self, changes: "dict[str, File | Folder | None]") -> None:
        folder = self._find(str(Path(next(iter(changes))).parent))
        assert isinstance(folder, Folder)
        folder.later.append({Path(path).name: node for path, node in changes.items()})


def whole(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a trace, rejoining the calls that strace split because another thread made
    a call in between.
    """
    begun: dict[str, str] = {}
    for line in lines:
        process = line.partition(" ")[0]
        if line.endswith(" <unfinished ...>"):
            begun[process] = line.removesuffix(" <unfinished ...>")
        elif found := re.match(r"\d+ +<\.\.\. \w+ resumed>(.*)", line):
            yield begun.pop(process) + found[1]
        else:
            yield line


def _stored(folder: Path) -> Folder:
    stored = Folder()
    for path in folder.iterdir():
        stored.synced[path.name] = _stored(path) if path.is_dir() else File(path.read_bytes())
    return stored


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def put(state: State, folder: Path) -> None:
    """Create `folder` with these files in it."""
    folder.mkdir()
    for path, content in state.items():
        if content is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(content)
