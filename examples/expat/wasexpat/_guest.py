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
SLOT, SIZE, TEXTS, NUMBER, SERVED, ANSWER, MAP = (
    library.offsetof(_EVENT, name) // 4 for name in ("slot", "size", "texts", "number", "served", "answer", "map")
)
KINDS: int = library.constants.WX_KINDS
ROOM: int = library.constants.WX_TEXTS
# Beyond, Expat runs out of memory. No file, no clock, no randomness, no output.
POLICY = Policy(memory=1 << 30)
_MOST_IDLE = 16
_LARGE = 64 << 20


class Guest:
    """An instance, and what serves its one import."""

    def __init__(self) -> None:
        self.served: list[Serve | None] = []
        """What serves each kind of event of each parser, while a call is under way that may lead to events. At other
        times nothing leads from here to handlers, for they may lead to the parser, which would live for ever."""
        self.dropped: list[Pointer] = []
        """Parsers that nobody has any more. Finalisers do not enter the guest; the next call frees them."""
        self.instance: Instance = library.open(POLICY, hosts=[self._functions])
        self.state = self.instance.state
        self.lib = cast("types.Lib", self.instance.lib)
        at = self.instance.addressof("wx_event")
        self.event = self.memory.pin(int(at), library.sizeof(_EVENT), "i")
        self.texts = self.memory.pin(int(self.instance.addressof("wx_texts")), ROOM)
        self._fresh = self.instance.snapshot()

    def _functions(self, memory: Memory) -> Iterable[HostFunction]:
        self.memory = memory

        def serve() -> None:
            # An exception leaves the event unserved, which silences the parser, and comes out of the call of Parse.
            found: Any = self.served[self.event[SLOT]]
            found()

        return [HostFunction("wasexpat", "event", "", "", serve, bare=True)]

    def text(self) -> str:
        """The texts of the event."""
        size = self.event[SIZE]
        if size <= ROOM:
            return str(self.texts[:size], "utf-8")
        return str(self.memory.span(self.event[TEXTS] & 0xFFFF_FFFF, size), "utf-8")

    # -- parsers -----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Free the parsers that were dropped."""
        while self.dropped:
            self.lib.wx_free(self.dropped.pop())

    # -- one after the other -------------------------------------------------------------------------------------

    def give_back(self) -> None:
        """The last parser is gone. For finalisers: the guest is not entered."""
        _used.discard(self)
        if self.instance.dead is None and len(_idle) < _MOST_IDLE and self.memory.size <= _LARGE:
            _idle.append(self)

    def renew(self) -> bool:
        """Become what it was before the first parser, so that no document has to do with another one."""
        if self.instance.dead is not None:  # in the child of a fork
            return False
        self.dropped.clear()
        self.instance.restore(self._fresh)
        return True


_idle: list[Guest] = []
# So that no guest is garbage: one that is collected together with its parser could not be given back.
_used: set[Guest] = set()


def take() -> Guest:
    """A guest that is as new."""
    while True:
        try:
            guest = _idle.pop()
        except IndexError:
            guest = Guest()
            _used.add(guest)
            return guest
        if guest.renew():
            _used.add(guest)
            return guest
