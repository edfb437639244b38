"""The sandbox: Expat compiled to wasm, one instance for each parser and the parsers of its external entities."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from wasqlite.bridge import HostFunction, Instance, Library, Memory, Pointer, Policy

if TYPE_CHECKING:
    from . import expat as types
    from ._events import Serve

library = Library.load(Path(__file__).parent / "expat.wasm")
_EVENT = "struct wx_event"
_AT = {name: library.offsetof(_EVENT, name) // 4 for name in ("kind", "parser", "size", "texts", "number", "served")}
KIND, PARSER, SIZE, TEXTS, NUMBER, SERVED = _AT.values()
ANSWER, MAP = (library.offsetof(_EVENT, name) // 4 for name in ("answer", "map"))
ROOM: int = library.constants.WX_TEXTS if "WX_TEXTS" in dir(library.constants) else 65536
# Beyond, Expat runs out of memory. No file, no clock, no randomness, no output.
POLICY = Policy(memory=1 << 30)


class Guest:
    """An instance, its one import, and the parsers in it by their numbers."""

    def __init__(self) -> None:
        self.tables: list[list[Serve | None]] = []
        """What serves the events of each parser, by kind."""
        self.dropped: list[Pointer] = []
        """Parsers that nobody has any more. Finalisers do not enter the guest; the next call frees them."""
        self.instance: Instance = library.open(POLICY, hosts=[self.functions])
        self.state = self.instance.state
        self.lib = cast("types.Lib", self.instance.lib)
        at = self.instance.addressof("wx_event")
        self.event = self.memory.pin(int(at), library.sizeof(_EVENT), "i")
        self.texts = self.memory.pin(int(self.instance.addressof("wx_texts")), ROOM)

    def functions(self, memory: Memory) -> Iterable[HostFunction]:
        """The import: an event stands in the block."""
        self.memory = memory
        return [HostFunction("wasexpat", "event", "", "", self.serve, bare=True)]

    def serve(self) -> None:
        """Serve an event. An exception leaves it unserved, silences the parser, and is raised by the call of Parse."""
        event = self.event
        serve: Any = self.tables[event[PARSER]][event[KIND]]
        serve()

    def text(self) -> str:
        """The texts of the event."""
        size = self.event[SIZE]
        if size <= ROOM:
            return str(self.texts[:size], "utf-8")
        return str(self.memory.span(self.event[TEXTS] & 0xFFFF_FFFF, size), "utf-8")

    def settle(self) -> None:
        """Free what was dropped."""
        while self.dropped:
            self.lib.wx_free(self.dropped.pop())
