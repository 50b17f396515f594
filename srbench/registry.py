"""A table from name to thing, filled on first use by the modules of one package and by entry points.

Modules whose name starts with an underscore are not searched. A name can be registered once; a module that fails to
import raises its own error.
"""

from __future__ import annotations

import fnmatch
import importlib
import pkgutil
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Generic, Protocol, TypeVar

from srbench.errors import SrbenchError, UnknownNameError
from srbench.names import check_name


class Named(Protocol):
    """Anything with a read-only ``name``."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """The things of one kind, by name.

    Args:
        kind: what a thing is called in messages, such as ``"model"``.
        package: the package whose public modules register things when imported.
        group: the entry-point group of third-party packages; each entry point names a thing of this kind.
    """

    def __init__(self, kind: str, package: str, group: str) -> None:
        self.kind = kind
        self._package = package
        self._group = group
        self._things: dict[str, T] = {}
        self._discovered = False

    def register(self, thing: T) -> T:
        """Add a thing under its own name; raises SrbenchError if the name is taken, or cannot be a part of file names."""
        check_name(self.kind, thing.name)
        if thing.name in self._things:
            raise SrbenchError(f"{self.kind} {thing.name!r} is registered twice")
        self._things[thing.name] = thing
        return thing

    def get(self, name: str) -> T:
        """The thing called ``name``; raises UnknownNameError with the nearest name."""
        self._discover()
        if name not in self._things:
            raise UnknownNameError(self.kind, name, self._things)
        return self._things[name]

    def names(self, pattern: str = "*") -> list[str]:
        """Sorted names that match a shell pattern."""
        self._discover()
        return sorted(fnmatch.filter(self._things, pattern))

    def __iter__(self) -> Iterator[T]:
        self._discover()
        return iter([self._things[name] for name in sorted(self._things)])

    def __len__(self) -> int:
        self._discover()
        return len(self._things)

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._things

    def _discover(self) -> None:
        if self._discovered:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self._package}.{module.name}")
        self._discovered = True
        for entry in entry_points(group=self._group):
            thing = entry.load()
            if self._things.get(thing.name) is not thing:
                self.register(thing)
