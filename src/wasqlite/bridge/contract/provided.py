"""A method that a contract provides to guests: the decorator, and what stands between wasm's values and the method."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from functools import partial
from types import CodeType

from wasqlite.bridge.cdef.numbers import Number
from wasqlite.bridge.cdef.pointertype import PointerType
from wasqlite.bridge.cdef.types import Void
from wasqlite.bridge.contract.declaration import Declaration, Parameter
from wasqlite.bridge.errors import BridgeError, DeclarationError, LoadError
from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.memory import Memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from wasqlite.bridge.instance import Instance

    FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

LONGEST_TEXT = 1 << 20


class Provided:
    """How one function of a contract is provided."""

    __slots__ = ("declaration", "doc", "error", "errors", "feature", "reentrant")

    def __init__(
        self,
        declaration: str,
        doc: str,
        error: float | None,
        errors: Mapping[type[BaseException], float],
        feature: str | None,
        reentrant: bool,
    ) -> None:
        self.declaration = Declaration(declaration)
        self.doc = doc
        self.error = error
        self.errors = dict(errors)
        self.feature = feature
        self.reentrant = reentrant
        answers = [*self.errors.values(), *([] if error is None else [error])]
        if answers and isinstance(self.declaration.result, Void):
            raise DeclarationError(f"{self.declaration.text!r} returns nothing, so it has no error values")

    def host_function(self, module: str, method: Callable[..., Any], link: Link) -> HostFunction:
        """The import, served by ``method``."""
        params, result = self.declaration.signature
        call = _serving(self, method, link)
        return HostFunction(module, self.declaration.name, params, result, call, self.error, reentrant=self.reentrant)

    def missing(self, module: str) -> HostFunction:
        """The import where the feature is not offered: it answers with its error value, and nothing is raised."""
        params, result = self.declaration.signature
        return HostFunction(module, self.declaration.name, params, result, lambda *_: self.error)


def provides(
    declaration: str,
    *,
    error: float | None = None,
    errors: Mapping[type[BaseException], float] | None = None,
    feature: str | None = None,
    reentrant: bool = False,
) -> Callable[[FunctionT], FunctionT]:
    """Make a method of a ``Contract`` a function that guests may import.

    What its arguments are in Python goes by ``declaration``: numbers; ``const char *`` a str (UTF-8), or None;
    ``const char x[n]`` a str of n bytes; ``const T x[n]`` of other types bytes, or a memoryview of numbers;
    ``T x[n]`` a writable memoryview of the guest's memory, good until the method returns; other pointers a Pointer if
    the guest was loaded with its C types, and else an int. ``n`` is another parameter's name, or a number.

    When it raises one of ``errors``, the guest gets the number there, and that is all. Anything else that it raises is
    raised again by the call into the guest that is under way; meanwhile the guest gets ``error``, or, without one, is
    unwound. ``feature``: what the function belongs to, for hosts that do not offer everything. ``reentrant``: it may
    call the guest.
    """

    def decorate(method: FunctionT) -> FunctionT:
        doc = " ".join((method.__doc__ or "").split())
        method._provided = Provided(declaration, doc, error, errors or {}, feature, reentrant)  # type: ignore[attr-defined]
        return method

    return decorate


class Link:
    """What the functions of one instance know about it."""

    __slots__ = ("_instance", "memory")

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._instance: Callable[[], Instance | None] = lambda: None

    def attach(self, instance: Instance) -> None:
        """The instance is there."""
        self._instance = weakref.ref(instance)

    def pointer(self, ctype: str, address: int) -> Any:
        """A Pointer, if the guest's types are known, else the address."""
        instance = self._instance()
        if instance is None:
            return address
        try:
            found = instance.library.layout.type(ctype)
        except (LoadError, DeclarationError):
            return address
        assert isinstance(found, PointerType)
        return found.factory(instance, found, address)


_TEMPLATE = """
def serve({names}):
    {before}
    try:
        _value = _method({arguments})
    {handlers}finally:
        {after}
    return _result(_value)
"""


def _code(declaration: Declaration, views: list[str], arguments: list[str], before: list[str], names: int) -> CodeType:
    handlers = "".join(
        f"except _error{number} as _raised:\n        _value = _answer{number}\n    " for number in range(names)
    )
    source = _TEMPLATE.format(
        names=", ".join(f"_{param.name}" for param in declaration.params),
        before="; ".join(before) or "pass",
        arguments=", ".join(arguments),
        handlers=handlers,
        after="; ".join(f"{view}.release()" for view in views) or "pass",
    )
    return compile(source, f"<wasqlite contract: {declaration.text}>", "exec")


def _serving(provided: Provided, method: Callable[..., Any], link: Link) -> Callable[..., Any]:
    """What the trampoline calls."""
    declaration = provided.declaration
    namespace: dict[str, Any] = {"_method": method, "_result": _returned(declaration)}
    arguments: list[str] = []
    before: list[str] = []
    views: list[str] = []
    for param in declaration.params:
        name = param.name
        reader = namespace[f"_read_{name}"] = _reader(param, link, f"{declaration.name}() argument {name!r}")
        length = "" if param.length is None else param.length if param.length.isdigit() else f"_{param.length}"
        value = f"_read_{name}(_{name}{', ' + length if length else ''})"
        if length and not param.const:
            before.append(f"_view_{name} = {value}")
            views.append(f"_view_{name}")
            value = f"_view_{name}"
        elif reader is _same:
            value = f"_{name}"
        arguments.append(value)
    for number, (kind, answer) in enumerate(provided.errors.items()):
        namespace[f"_error{number}"], namespace[f"_answer{number}"] = kind, answer
    exec(_code(declaration, views, arguments, before, len(provided.errors)), namespace)
    serve: Callable[..., Any] = namespace.pop("serve")
    return serve


def _same(value: Any) -> Any:
    return value


def _reader(param: Parameter, link: Link, label: str) -> Callable[..., Any]:
    """Makes the Python value of an argument: of its number, and of the length if it has one."""
    ctype = param.ctype
    if isinstance(ctype, Number):
        return _same if ctype.kind in "Iqfd" else ctype.from_wasm
    if param.length is not None:
        return partial(_array, param, link.memory, label)
    if param.is_text:
        return partial(_text, link.memory, label)
    return partial(link.pointer, ctype.spell())


def _text(memory: Memory, label: str, address: int) -> str | None:
    if not address:
        return None
    try:
        return memory.string(address, LONGEST_TEXT).decode()
    except (BridgeError, UnicodeDecodeError) as error:
        error.add_note(label)
        raise


def _array(param: Parameter, memory: Memory, label: str, address: int, length: int) -> Any:
    item = param.item
    size = item.size or 1
    length &= 0xFFFF_FFFF
    try:
        if not address and length:
            raise BridgeError(f"NULL, where there should be {length} items")
        span = memory.span(address, length * size)
        if param.is_text:
            return str(span, "utf-8")
        if not param.const:
            return span if param.is_bytes else span.cast(_letter(item))
        return bytes(span) if param.is_bytes else memoryview(bytes(span)).cast(_letter(item))
    except (BridgeError, UnicodeDecodeError) as error:
        error.add_note(label)
        raise


def _letter(item: Any) -> Any:
    return {"_Bool": "?"}.get(item.name, item.kind)


def _returned(declaration: Declaration) -> Callable[[Any], Any]:
    """Makes wasm's number of what the method returned."""
    result = declaration.result
    if isinstance(result, Void):
        return lambda _: 0

    def number(value: Any) -> Any:
        try:
            if isinstance(result, PointerType):
                return 0 if value is None else int(value) & 0xFFFF_FFFF
            assert isinstance(result, Number)
            found = result.number(value)
        except (BridgeError, TypeError, ValueError) as error:
            error.add_note(f"the result of {declaration.name}()")
            raise
        return found - (1 << 64) if result.letter == "I" and found >> 63 > 0 else found

    return number
