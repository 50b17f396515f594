"""Training images of which neither memory nor disk holds all: decoded when a crop of them is drawn.

Those drawn last stay in memory within a bound of bytes. Which are there changes no crop: the sampler draws from sizes alone, and
an image that was forgotten is decoded again to the same bytes. Before the first step every file is looked through once, so
that one that cannot be read is named then; what was found is kept in the cache under the files' hashes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

from pydantic import BaseModel, ConfigDict, ValidationError

from srbench.datasets.hashes import cache_root, sha256_of
from srbench.errors import InputError
from srbench.files import write_text
from srbench.training.data.decode import U8, Copy, Wanted, decode_copy, size_of_copy
from srbench.training.data.pairs import lr_facts, read_pair, read_rgb

_VERSION = 1  # of what is kept of the files
_AT_WORK = 3  # times the bytes of a copy that decoding it takes: the file's pixels, the copy, and what becomes LR


class Looked(BaseModel):
    """What looking through a file found.

    Attributes:
        name: of the file.
        size: height and width of its image; ``(0, 0)`` where it cannot be read.
        error: why it cannot be read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    size: tuple[int, int] = (0, 0)
    error: str = ""

    @property
    def side(self) -> int:
        """The shorter side."""
        return min(self.size)


class _Index(BaseModel):
    files: list[Looked]


@dataclass(frozen=True)
class Drawn:
    """One copy of one file.

    Attributes:
        path: the file.
        factor: of the copy.
        size: height and width of its HR image.
    """

    path: Path
    factor: float
    size: tuple[int, int]

    def bytes(self, wanted: Wanted) -> int:
        """Of its HR and LR images."""
        height, width = self.size
        around = 2 * wanted.margin
        return 3 * (height * width + (height // wanted.scale + around) * (width // wanted.scale + around))


class Stream:
    """Copies of files by demand.

    Attributes:
        held: bytes of the copies in memory now.
        decoded: how often a copy was decoded.

    Args:
        wanted: what is made of each file.
        memory: bound in bytes of the copies that are kept and of those being decoded. One copy at least is held.
    """

    def __init__(self, wanted: Wanted, memory: float) -> None:
        self.wanted, self.memory, self.held, self.decoded = wanted, memory, 0, 0
        self._kept: OrderedDict[Drawn, Copy] = OrderedDict()
        self._threads: ThreadPoolExecutor | None = None

    def in_turn(self, drawn: Sequence[Drawn]) -> Iterator[Copy]:
        """Each of the copies, in order; the next ones are decoded in threads meanwhile, as far as memory allows."""
        workers = os.cpu_count() or 1
        if self._threads is None:
            self._threads = ThreadPoolExecutor(min(8, workers), "decoder")
        coming: dict[Drawn, Future[Copy]] = {}
        ahead = deque(one for one in dict.fromkeys(drawn) if one not in self._kept)
        for one in drawn:
            while ahead and (not coming or self._has_room(ahead[0], coming)):
                following = ahead.popleft()
                self._make_room(following, coming)
                coming[following] = self._threads.submit(self._decode, following)
            if (future := coming.pop(one, None)) is not None:
                self._keep(one, future.result())
            elif one in self._kept:
                self._kept.move_to_end(one)
            else:  # it was forgotten between two crops of the batch, or waits for room
                with suppress(ValueError):
                    ahead.remove(one)
                self._make_room(one, coming)
                self._keep(one, self._decode(one))
            yield self._kept[one]

    def _has_room(self, one: Drawn, coming: Mapping[Drawn, Future[Copy]]) -> bool:
        busy = sum(_AT_WORK * other.bytes(self.wanted) for other in coming)
        return len(coming) < (os.cpu_count() or 1) and busy + _AT_WORK * one.bytes(self.wanted) <= self.memory / 2

    def _make_room(self, one: Drawn, coming: Mapping[Drawn, Future[Copy]]) -> None:
        """Forget what was drawn longest ago until a copy can be decoded within the bound."""
        needed = sum(_AT_WORK * other.bytes(self.wanted) for other in (*coming, one))
        while self._kept and self.held + needed > self.memory:
            self._forget()

    def _forget(self) -> None:
        _, copy = self._kept.popitem(last=False)
        self.held -= copy.hr.nbytes + copy.lr.nbytes

    def _keep(self, one: Drawn, copy: Copy) -> None:
        self._kept[one] = copy
        self.held += copy.hr.nbytes + copy.lr.nbytes
        while len(self._kept) > 1 and self.held > self.memory:
            self._forget()

    def _decode(self, one: Drawn) -> Copy:
        self.decoded += 1
        copy = decode_copy(one.path, self.wanted, one.factor)
        if copy.hr.shape[:2] != one.size:
            raise InputError(
                f"{one.path} changed while it was trained on: it was {one.size}, now it is {copy.hr.shape[:2]}"
            )
        return copy


class Part(Sequence[U8]):
    """The HR or the LR images of a stream's copies, as a sequence of arrays.

    Args:
        stream: that decodes them.
        drawn: the copies.
        part: ``hr`` or ``lr``.
    """

    def __init__(self, stream: Stream, drawn: Sequence[Drawn], part: Literal["hr", "lr"]) -> None:
        self.stream, self.drawn, self._part = stream, drawn, part

    def __len__(self) -> int:
        return len(self.drawn)

    @overload
    def __getitem__(self, index: int) -> U8: ...
    @overload
    def __getitem__(self, index: slice) -> Part: ...
    def __getitem__(self, index: int | slice) -> U8 | Part:
        if isinstance(index, slice):
            return Part(self.stream, self.drawn[index], self._part)
        (copy,) = self.stream.in_turn([self.drawn[index]])
        return copy.hr if self._part == "hr" else copy.lr

    def of(self, chosen: Sequence[int]) -> Part:
        """Some of them, by their numbers."""
        return Part(self.stream, [self.drawn[index] for index in chosen], self._part)


def look_through(paths: Sequence[Path], wanted: Wanted, advance: Callable[[], None] = lambda: None) -> list[Looked]:
    """The size of each file's image, or why it cannot be read; every file is decoded once, or was for an earlier run.

    Args:
        paths: the HR files.
        wanted: says which LR file belongs to each, where LR is not made.
        advance: called after each file that is decoded.
    """
    hashes = sha256_of(paths)
    facts: list[object] = [_VERSION, [[path.name, hashes[path]] for path in paths]]
    if wanted.lr:
        facts += [wanted.scale, *lr_facts({path: wanted.lr[path] for path in paths})]
    stem = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
    file = cache_root() / "training" / f"{stem}.sizes.json"
    try:
        found = _Index.model_validate_json(file.read_bytes()).files
        if [one.name for one in found] == [path.name for path in paths]:
            return found
    except (OSError, ValidationError):
        pass
    found = []
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), "decoder") as threads:
        for one in threads.map(lambda path: _look(path, wanted), paths):
            found.append(one)
            advance()
    with suppress(OSError):
        write_text(file, _Index(files=found).model_dump_json())
    return found


def _look(path: Path, wanted: Wanted) -> Looked:
    try:
        hr = read_pair(path, wanted.lr[path], wanted.scale)[0] if wanted.lr else read_rgb(path)
    except InputError as error:
        return Looked(name=path.name, error=str(error))
    return Looked(name=path.name, size=(hr.shape[0], hr.shape[1]))


def copies_of(path: Path, looked: Looked, wanted: Wanted, crop: int) -> list[Drawn]:
    """The copies of a file that hold a crop of ``crop`` HR pixels, in the order of ``decode``."""
    return [
        Drawn(path, factor, size_of_copy(looked.size, factor, wanted.scale))
        for factor in (1.0, *(() if wanted.lr else wanted.rescale))
        if looked.side * factor >= crop
    ]
