"""What every call into an instance looks at first."""

from __future__ import annotations

import os
import weakref
from threading import RLock

from wasqlite.bridge.errors import ForkedInstance, UnusableInstance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wasqlite.bridge.trampoline import Trampoline as Preparable


class State:
    """``dead`` is why there can be no more calls, ``depth`` how many are under way.

    ``reentrant``: whether a call may be made while another is under way. Only the callable of a host function that was
    declared so opens it; a signal handler that strikes anywhere else must find the instance shut, because the guest may
    be in the middle of a file operation, or a result not yet read. Its trampoline stands here then, as it is the one
    that must be prepared for being called once more; bare functions, of which all are prepared, write True.

    ``lock`` is held by the thread whose turn it is. ``stop`` and ``until`` are for interruptible instances: why the
    outermost call under way shall end, a new list for each, and when it shall.
    """

    __slots__ = ("__weakref__", "dead", "depth", "lock", "reentrant", "stop", "until")

    def __init__(self) -> None:
        self.lock = RLock()
        self.dead: UnusableInstance | None = None
        self.depth = 0
        self.reentrant: bool | Preparable = False
        self.stop: list[BaseException] = []
        self.until: float | None = None
        _states.add(self)


_states: weakref.WeakSet[State] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for state in list(_states):
        if not state.lock._is_owned():  # type: ignore[attr-defined]
            state.lock._at_fork_reinit()  # type: ignore[attr-defined]  # of a thread that is not there any more
        state.dead = ForkedInstance(
            "this instance was opened before fork(), in the parent process; open a new one in the child"
        )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
