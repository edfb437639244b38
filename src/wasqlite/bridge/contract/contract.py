"""The contract itself: what a host offers, whether a guest fits it, and the header that guests are built against."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from wasqlite.bridge.contract.declaration import Declaration
from wasqlite.bridge.contract.header import header
from wasqlite.bridge.contract.provided import Link, Provided
from wasqlite.bridge.errors import DeclarationError, LinkError
from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.memory import Memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge.library import Library

_WORDS = {"i": "i32", "I": "i64", "f": "f32", "F": "f64", "?": "?"}


class Contract:
    """A set of functions that a host provides to its guests. Make a class of it, with methods that ``provides`` marks.

    ``class Editor(Contract, module="editor", version=2)``: guests import the functions from the wasm module
    ``editor``, and export ``editor_abi_2`` to say what they were built against; ``versions`` are further ones that
    the host still serves. ``exports`` are the C declarations of functions that a guest must have, ``types`` is C text
    that the header begins with.

    Its objects go where hosts go: ``library.open(policy, hosts=[Editor(...)])``. One may serve many instances. The
    guest is checked before anything of it runs; LinkError says all that is wrong.
    """

    module: ClassVar[str]
    version: ClassVar[int]
    versions: ClassVar[frozenset[int]]
    exports: ClassVar[tuple[str, ...]] = ()
    types: ClassVar[str] = ""
    provided: ClassVar[dict[str, Provided]]
    _methods: ClassVar[dict[str, str]]

    def __init_subclass__(
        cls, *, module: str = "", version: int | None = None, versions: Iterable[int] = (), **rest: Any
    ) -> None:
        super().__init_subclass__(**rest)
        if module:
            cls.module, cls.version = module, 1
        if version is not None:
            cls.version = version
        if module or version is not None or versions:
            cls.versions = frozenset((cls.version, *versions))
        if not getattr(cls, "module", "").isidentifier():
            raise DeclarationError(f"{cls.__name__} needs the name of the module that guests import: module=...")
        cls.provided, cls._methods = {}, {}
        for name in dir(cls):
            found = getattr(getattr(cls, name), "_provided", None)
            if isinstance(found, Provided):
                other = cls._methods.get(found.declaration.name)
                if other is not None:
                    raise DeclarationError(f"{other} and {name} both provide {found.declaration.name}")
                cls.provided[found.declaration.name] = found
                cls._methods[found.declaration.name] = name

    @classmethod
    def features(cls) -> frozenset[str]:
        """The names of all features that functions belong to."""
        return frozenset(found.feature for found in cls.provided.values() if found.feature is not None)

    def offers(self, feature: str) -> bool:
        """Whether this host offers a feature. Override it; all are offered otherwise."""
        return True

    @classmethod
    def header(cls) -> str:
        """The C header for guests."""
        return header(cls)

    # -- what Library.open asks for ------------------------------------------------------------------------------

    def check(self, library: Library) -> None:
        """LinkError unless the guest was built against this contract, and wants nothing that is not offered."""
        problems = [*self._marker(library), *self._imported(library), *self._exported(library)]
        if problems:
            lines = "".join(f"\n- {problem}" for problem in problems)
            raise LinkError(f"{library.name} does not fit the contract {self.module!r}, version {self.version}:{lines}")

    def __call__(self, memory: Memory) -> Iterable[HostFunction]:
        """The host functions for the guest with this memory."""
        link = Link(memory)
        memory.attaching.append(link.attach)
        for name, found in self.provided.items():
            if found.feature is None or self.offers(found.feature):
                yield found.host_function(self.module, getattr(self, self._methods[name]), link)
            elif found.error is not None:
                yield found.missing(self.module)

    # -- the checks ----------------------------------------------------------------------------------------------

    def _marker(self, library: Library) -> Iterable[str]:
        if any(f"{self.module}_abi_{version}" in library.exports for version in self.versions):
            return
        prefix = f"{self.module}_abi_"
        built = sorted(name.removeprefix(prefix) for name in library.exports if name.startswith(prefix))
        if built:
            offered = ", ".join(map(str, sorted(self.versions)))
            yield f"it was built against version {', '.join(built)}, and this host serves {offered}"
        else:
            marker = f"{prefix}{self.version}"
            yield f"it does not export {marker}: say {self.module.upper()}_CONTRACT; in one source file of the guest"

    def _imported(self, library: Library) -> Iterable[str]:
        for module, name, signature in library.imports:
            if module != self.module:
                continue
            found = self.provided.get(name)
            if found is None:
                yield f"it imports {name}, which the contract does not have"
            elif signature != found.declaration.signature:
                yield (
                    f"it imports {name} as {_spelled(signature)}, and the contract says {found.declaration.text}, "
                    f"which is {_spelled(found.declaration.signature)}"
                )
            elif found.feature is not None and found.error is None and not self.offers(found.feature):
                yield f"it imports {name}, which needs the feature {found.feature!r}, and this host does not offer that"

    def _exported(self, library: Library) -> Iterable[str]:
        for text in self.exports:
            declaration = Declaration(text)
            name = declaration.name
            if name not in library.exports:
                yield f"it does not export {declaration.text}"
            elif library.exports[name] != declaration.signature:
                yield (
                    f"it exports {name} as {_spelled(library.exports[name])}, and the contract says "
                    f"{declaration.text}, which is {_spelled(declaration.signature)}"
                )


def _spelled(signature: tuple[str, str] | None) -> str:
    if signature is None:
        return "something that is no function"
    params, results = ([_WORDS[letter] for letter in letters] for letters in signature)
    return f"({', '.join(params)}) -> {', '.join(results) or 'nothing'}"
