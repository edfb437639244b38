"""What serves an event: it reads the texts, calls the user's handler, and writes the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._guest import ANSWER, MAP, NUMBER, ROOM, SERVED, SIZE

if TYPE_CHECKING:
    from ._guest import Guest

Serve = Callable[[], None]
Handler = Callable[..., Any]
Make = Callable[["Style", Handler], Serve]
_NULL = "\1"  # no document can contain it


def _not_interned(_: Any, value: Any) -> Any:
    return value


class Style:
    """How events of one parser are told of. It does not lead to the parser, which is to go when nobody has it."""

    __slots__ = ("guest", "intern", "ordered", "setdefault")

    def __init__(self, guest: Guest, intern: dict[Any, Any] | None) -> None:
        self.guest = guest
        self.intern = intern
        self.setdefault: Callable[[Any, Any], Any] = _not_interned if intern is None else intern.setdefault
        self.ordered = False


def start_element(style: Style, handler: Handler) -> Serve:
    """Names are interned. Texts: the name, then names and values of attributes."""
    guest, setdefault = style.guest, style.setdefault
    event, texts, state, text = guest.event, guest.texts, guest.state, guest.text

    def serve() -> None:
        size = event[SIZE]
        found = str(texts[:size], "utf-8") if size <= ROOM else text()
        attributes: Any
        if event[NUMBER]:
            name, *words = found.split("\0")
            names = words[::2]
            interned = map(setdefault, names, names)
            if style.ordered:
                words[::2] = list(interned)
                attributes = words
            else:
                attributes = dict(zip(interned, words[1::2]))  # noqa: B905 - a fifth faster without strict
        else:
            name = found
            attributes = [] if style.ordered else {}
        name = setdefault(name, name)
        state.reentrant = True
        handler(name, attributes)
        state.reentrant = False
        event[SERVED] = 1

    return serve


def name_only(style: Style, handler: Handler) -> Serve:
    """One name."""
    guest, setdefault = style.guest, style.setdefault
    event, texts, state, text = guest.event, guest.texts, guest.state, guest.text

    def serve() -> None:
        size = event[SIZE]
        name = str(texts[:size], "utf-8") if size <= ROOM else text()
        name = setdefault(name, name)
        state.reentrant = True
        handler(name)
        state.reentrant = False
        event[SERVED] = 1

    return serve


def data_only(style: Style, handler: Handler) -> Serve:
    """One text."""
    guest = style.guest
    event, texts, state, text = guest.event, guest.texts, guest.state, guest.text

    def serve() -> None:
        size = event[SIZE]
        data = str(texts[:size], "utf-8") if size <= ROOM else text()
        state.reentrant = True
        handler(data)
        state.reentrant = False
        event[SERVED] = 1

    return serve


def _words(style: Style, interned: str) -> list[str | None]:
    """The event's texts; ``interned`` has an "i" at the place of each that is a name."""
    setdefault: Any = style.setdefault
    words = style.guest.text().split("\0")
    return [
        setdefault(word, word) if kind == "i" else word
        for word, kind in zip([None if word == _NULL else word for word in words], interned, strict=True)
    ]


def _several(interned: str, arrange: Callable[[list[str | None], int], list[Any]] | None = None) -> Make:
    """A maker for handlers of several arguments; ``arrange`` puts the number among them."""

    def make(style: Style, handler: Handler) -> Serve:
        guest = style.guest
        event, state = guest.event, guest.state

        def serve() -> None:
            arguments = _words(style, interned)
            if arrange is not None:
                arguments = arrange(arguments, event[NUMBER])
            state.reentrant = True
            handler(*arguments)
            state.reentrant = False
            event[SERVED] = 1

        return serve

    return make


def _none(style: Style, handler: Handler) -> Serve:
    event, state = style.guest.event, style.guest.state

    def serve() -> None:
        state.reentrant = True
        handler()
        state.reentrant = False
        event[SERVED] = 1

    return serve


def _answered(interned: str) -> Make:
    """A maker for handlers that return a number."""

    def make(style: Style, handler: Handler) -> Serve:
        event, state = style.guest.event, style.guest.state

        def serve() -> None:
            arguments = _words(style, interned) if interned else []
            state.reentrant = True
            answer = handler(*arguments)
            state.reentrant = False
            if not isinstance(answer, int):
                answer = _index(answer)
            event[ANSWER] = answer
            event[SERVED] = 1

        return serve

    return make


def _index(answer: Any) -> int:
    if not hasattr(type(answer), "__index__"):
        raise TypeError(f"'{type(answer).__name__}' object cannot be interpreted as an integer")
    return int(answer.__index__())


def _element_decl(style: Style, handler: Handler) -> Serve:
    guest = style.guest
    event, state = guest.event, guest.state

    def serve() -> None:
        (name,) = _words(style, "i")
        model = guest.instance.cast("struct XML_cp *", event[NUMBER] & 0xFFFF_FFFF)
        arguments = name, _content(model[0])
        state.reentrant = True
        handler(*arguments)
        state.reentrant = False
        event[SERVED] = 1

    return serve


def _content(model: Any) -> tuple[Any, ...]:
    """A content model as nested tuples: type, quantifier, name, children."""
    name = model.name.string().decode() if model.name else None
    children = tuple(_content(model.children[i]) for i in range(model.numchildren))
    return int(model.type), int(model.quant), name, children


def unknown_encoding(guest: Guest) -> Serve:
    """Not a user's handler: what an encoding of single bytes makes of each of them, as Python's codec says."""
    event = guest.event

    def serve() -> None:
        table = bytes(range(256)).decode(guest.text(), "replace")
        if len(table) != 256:
            raise ValueError("multi-byte encodings are not supported")
        for index, character in enumerate(table):
            event[MAP + index] = -1 if character == "\N{REPLACEMENT CHARACTER}" else ord(character)
        event[SERVED] = 1

    return serve


# In the order of enum wx_kind.
HANDLERS: dict[str, Make] = {
    "StartElementHandler": start_element,
    "EndElementHandler": name_only,
    "ProcessingInstructionHandler": _several("i-"),
    "CharacterDataHandler": data_only,
    "UnparsedEntityDeclHandler": _several("iiiii"),
    "NotationDeclHandler": _several("iiii"),
    "StartNamespaceDeclHandler": _several("ii"),
    "EndNamespaceDeclHandler": _several("i"),
    "CommentHandler": data_only,
    "StartCdataSectionHandler": _none,
    "EndCdataSectionHandler": _none,
    "DefaultHandler": data_only,
    "DefaultHandlerExpand": data_only,
    "NotStandaloneHandler": _answered(""),
    "ExternalEntityRefHandler": _answered("-iii"),
    "StartDoctypeDeclHandler": _several("iii", lambda words, number: [*words, number]),
    "EndDoctypeDeclHandler": _none,
    "EntityDeclHandler": _several("i-iiii", lambda words, number: [words[0], number, *words[1:]]),
    "XmlDeclHandler": _several("--", lambda words, number: [*words, number]),
    "ElementDeclHandler": _element_decl,
    "AttlistDeclHandler": _several("ii--", lambda words, number: [*words, number]),
    "SkippedEntityHandler": _several("i", lambda words, number: [*words, number]),
}
