"""A method that a contract provides to guests: the decorator, and what stands between wasm's values and the method."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from operator import index

from wasqlite.bridge.cdef.numbers import Number
from wasqlite.bridge.cdef.pointer import Pointer
from wasqlite.bridge.cdef.pointertype import PointerType
from wasqlite.bridge.cdef.types import Void
from wasqlite.bridge.contract.declaration import Declaration, Parameter
from wasqlite.bridge.errors import ArgumentRangeError, BridgeError, DeclarationError, LoadError
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

    __slots__ = ("answer", "answers", "declaration", "doc", "error", "feature", "reentrant")

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
        self.feature = feature
        self.reentrant = reentrant
        self.answer = None if error is None else _answer(self.declaration, error)
        """``error``, as the guest gets it."""
        self.answers = {kind: _answer(self.declaration, value) for kind, value in errors.items()}

    def host_function(self, module: str, method: Callable[..., Any], link: Link) -> HostFunction:
        """The import, served by ``method``."""
        params, result = self.declaration.signature
        call = _serving(self, method, link)
        return HostFunction(module, self.declaration.name, params, result, call, self.answer, reentrant=self.reentrant)

    def missing(self, module: str) -> HostFunction:
        """The import where the feature is not offered: it answers with its error value, and nothing is raised."""
        params, result = self.declaration.signature
        return HostFunction(module, self.declaration.name, params, result, lambda *_: self.answer, self.answer)


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

    def address(self, value: Any) -> int:
        """The address that a result stands for: itself, or that of a Pointer of this very instance."""
        if value is None:
            return 0
        instance = self._instance()
        return value._pass(instance) if isinstance(value, Pointer) and instance is not None else _address(value)


def _source(
    count: int, before: list[str], views: list[str], opened: list[str], arguments: list[str], handlers: int
) -> str:
    """The text of what the trampoline calls. All names in it are the template's own."""
    call = [f"value = method({', '.join(arguments)})"]
    if handlers:
        call = ["try:", *_indented(call)]
        for number in range(handlers):
            call += [f"except error{number}:", f"    return answer{number}"]
    body = [*before, *call]
    if views:
        # What fails must not leave a view behind, which would keep the guest's memory.
        released = [f"release({', '.join(views)})"]
        body = [
            *before,
            f"{' = '.join(views)} = None",
            "try:",
            *_indented([*opened, *call]),
            "finally:",
            *_indented(released),
        ]
    parameters = ", ".join(f"a{position}" for position in range(count))
    return "\n".join([f"def serve({parameters}):", *_indented([*body, "return result(value)"])])


def _indented(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


def _release(*views: memoryview | None) -> None:
    for view in views:
        if view is not None:
            with suppress(BufferError):  # somebody made a buffer of it, such as an array, and has that still
                view.release()


def _serving(provided: Provided, method: Callable[..., Any], link: Link) -> Callable[..., Any]:
    """What the trampoline calls."""
    declaration = provided.declaration
    namespace: dict[str, Any] = {"method": method, "result": _returned(declaration, link), "release": _release}
    positions = {param.name: position for position, param in enumerate(declaration.params)}
    arguments: list[str] = []
    before: list[str] = []
    views: list[str] = []
    opened: list[str] = []
    for position, param in enumerate(declaration.params):
        argument, value = f"a{position}", f"x{position}"
        if isinstance(param.ctype, Number):
            namespace[f"load{position}"] = param.ctype.from_wasm
            arguments.append(_number(param.ctype, argument) or f"load{position}({argument})")
            continue
        arguments.append(value)
        namespace[f"read{position}"] = _reader(param, link, f"{declaration.name}() argument {param.name!r}")
        if param.length is None:
            before.append(f"{value} = read{position}({argument})")
            continue
        if param.length.isdigit():
            items = str(int(param.length))
        else:
            length = positions[param.length]
            ctype = declaration.params[length].ctype
            assert isinstance(ctype, Number)
            namespace[f"length{length}"] = partial(Number.cast, ctype)
            items = _number(ctype, f"a{length}") or f"length{length}(a{length})"
        if not param.const:
            views.append(value)
        (before if param.const else opened).append(f"{value} = read{position}({argument}, {items})")
    for number, (kind, answer) in enumerate(provided.answers.items()):
        namespace[f"error{number}"], namespace[f"answer{number}"] = kind, answer
    source = _source(len(positions), before, views, opened, arguments, len(provided.answers))
    exec(compile(source, f"<wasqlite contract: {declaration.text}>", "exec"), namespace)
    serve: Callable[..., Any] = namespace.pop("serve")
    return serve


def _number(ctype: Number, argument: str) -> str | None:
    """The expression for an argument's number, if it is a simple one: i32 comes unsigned, i64 signed."""
    if ctype.kind == "i":
        return f"({argument} if {argument} < 0x80000000 else {argument} - 0x100000000)"
    return argument if ctype.kind in "Iqfd" else None


def _reader(param: Parameter, link: Link, label: str) -> Callable[..., Any]:
    """Makes the Python value of a pointer: of its address, and of the length if it has one."""
    if param.length is not None:
        return partial(_array, param, link.memory, label)
    if param.is_text:
        return partial(_text, link.memory, label)
    return partial(link.pointer, param.ctype.spell())


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
    size = length * (item.size or 1)
    try:
        if not address and length:
            raise BridgeError(f"NULL, where there should be {length} items")
        if not param.const:
            span = memory.span(address, size)
            return span if param.is_bytes else span.cast(_letter(item))
        data = memory.read(address, size)
        if param.is_text:
            return data.decode()
        return data if param.is_bytes else memoryview(data).cast(_letter(item))
    except (BridgeError, UnicodeDecodeError) as error:
        error.add_note(label)
        raise


def _letter(item: Any) -> Any:
    return {"_Bool": "?"}.get(item.name, item.kind)


def _returned(declaration: Declaration, link: Link) -> Callable[[Any], Any]:
    """Makes wasm's number of what the method returned."""
    result = declaration.result
    if isinstance(result, Void):
        return lambda _: 0

    def number(value: Any) -> Any:
        try:
            if isinstance(result, PointerType):
                return link.address(value)
            assert isinstance(result, Number)
            return _signed(result, result.number(value))
        except (BridgeError, TypeError, ValueError) as error:
            error.add_note(f"the result of {declaration.name}()")
            raise

    return number


def _answer(declaration: Declaration, error: Any) -> Any:
    """Wasm's number of an error value."""
    result = declaration.result
    if isinstance(result, Void):
        raise DeclarationError(f"{declaration.text!r} returns nothing, so it has no error values")
    try:
        if isinstance(result, PointerType):
            return _address(error)
        assert isinstance(result, Number)
        return _signed(result, result.number(error) if isinstance(error, bytes) else Number.number(result, error))
    except (BridgeError, TypeError) as reason:
        raise DeclarationError(f"{declaration.text!r} cannot answer {error!r}: {reason}") from None


def _signed(result: Number, number: Any) -> Any:
    """A 64-bit number, as the frame has it."""
    return number - (1 << 64) if result.letter == "I" and number >> 63 > 0 else number


def _address(value: Any) -> int:
    number = index(value)
    if not -(1 << 31) <= number < 1 << 32:
        raise ArgumentRangeError(f"{number:#x} is no address of 32 bits")
    return number
