"""The bridge's exceptions: one tree, each message says what was wrong and what to do."""

from __future__ import annotations


class BridgeError(Exception):
    """Base of everything that the bridge itself raises."""


class LoadError(BridgeError):
    """The runtime or a module cannot be loaded: missing library, wrong version, invalid wasm, ABI mismatch."""


class LinkError(LoadError):
    """The module imports something that no host function provides, or with another signature."""


class Trap(BridgeError):
    """The guest stopped abnormally: unreachable, out of bounds, stack exhausted."""


class Interrupted(BridgeError):
    """``interrupt()`` stopped the guest in the middle of a call. The instance is poisoned."""


class DeadlineExceeded(Interrupted):
    """A call took longer than its policy's deadline, and was stopped. The instance is poisoned."""


class Exited(BridgeError):
    """The guest called ``exit(code)``, which ends the whole of it."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the guest exited with code {code}")
        self.code = code

    def __reduce__(self) -> tuple[type[Exited], tuple[int]]:
        return type(self), (self.code,)


class MemoryAccessError(BridgeError):
    """An address and length that do not lie inside the guest's linear memory."""


class PointerError(MemoryAccessError):
    """A pointer that must not be used this way: NULL, freed, out of bounds, of another instance, restored over."""


class DeclarationError(BridgeError):
    """A C type or a name that the library does not declare, or that cannot be used here."""


class UndeclaredName(DeclarationError, AttributeError):
    """An attribute that is no function, variable, constant or field that the library declares."""


class ArgumentTypeError(BridgeError, TypeError):
    """A Python value of a type that the C type does not take."""


class ArgumentRangeError(BridgeError, OverflowError):
    """A number that the C type cannot hold."""


class CallbackClosed(BridgeError):
    """C code called a callback that was closed."""


class ReentryError(BridgeError):
    """A call into an instance that is in the middle of another one, from a place where that is not sound."""


class SnapshotError(BridgeError):
    """A snapshot that cannot be taken or restored, because something of the instance is beyond its memory."""


class UnusableInstance(BridgeError):
    """Base of the reasons why an instance no longer takes calls."""


class InstanceClosed(UnusableInstance):
    """The instance was closed."""


class InstancePoisoned(UnusableInstance):
    """A trap or an unwound exception left the guest's state undefined."""


class ForkedInstance(UnusableInstance):
    """The instance belongs to the parent process; a fork's child must open its own."""
