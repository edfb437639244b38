"""A function of the host that a guest may import."""

from __future__ import annotations

from wasqlite.bridge.adapter import UNSERVED, Signature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from wasqlite.bridge.state import State


class HostFunction:
    """One import: its two names, its signature in letters, the Python callable behind it.

    Letters: ``i`` i32 (arrives unsigned), ``I`` i64 (arrives signed), ``f`` f32, ``F`` f64.

    When ``call`` raises, the exception is kept on the instance and raised again by the guest call that is under way;
    meanwhile the guest receives ``on_error``, or, if that is None, unwinds as a trap.

    ``reentrant`` allows ``call`` to call the guest again; the default refuses that, as it must be refused inside file
    operations.

    ``retry`` is for idempotent functions: an exception that a signal handler raised in the middle is kept, and the
    function is run once more, so that Ctrl-C never looks like an I/O error to the guest.

    ``bare`` is for functions that are called at a high rate; they have no parameters and no result, which costs half.
    What there is to tell stands in the guest's memory, where an answer that means failure stands already before the
    call: an exception leaves it there. Such a function is reentrant, but it opens the instance for calls by itself
    (``State.reentrant``), when it has read its input, and closes it again before it writes its answer.

    ``serve`` is for a bare function that wants to save even the call of ``call``, while it is not yet under way: it
    makes the generator that is resumed for each call, with the nets of ``trampoline``.

    ``lanes``: a bare function "i" -> "i" that has no ``call`` but resumes ``Instance.lanes``, and returns 0 if that one
    is under way already. A module has one of these at most.
    """

    # Not a dataclass: that module's import alone is a tenth of a warm start.
    __slots__ = (
        "bare", "call", "fallback", "lanes", "module", "name", "on_error", "params", "reentrant", "result", "retry",
        "serve",
    )  # fmt: skip

    def __init__(
        self,
        module: str,
        name: str,
        params: str,
        result: str,
        call: Callable[..., int | float | None],
        on_error: int | float | None = None,
        *,
        retry: bool = False,
        reentrant: bool = False,
        bare: bool = False,
        serve: Callable[[list[BaseException], State], Generator[None, None, None]] | None = None,
        lanes: bool = False,
    ) -> None:
        assert not bare or params == result == ("i" if lanes else "")
        self.module = module
        self.name = name
        self.params = params
        self.result = result
        self.call = call
        self.on_error = on_error
        self.retry = retry
        self.reentrant = reentrant or bare
        self.bare = bare
        self.serve = serve
        self.lanes = lanes
        self.fallback = self.failure()

    @property
    def signature(self) -> Signature:
        """What the adapter needs to know."""
        return self.params, self.result, self.bare

    def failure(self) -> list[int | float]:
        """What stands in the frame's first two slots when ``call`` has raised. It is kept in ``fallback``."""
        if self.on_error is None:
            return [UNSERVED, 0]
        return [0, self.on_error] if self.result in ("I", "f", "F") else [self.on_error, 0]
