"""C type names, read: ``struct point *``, ``int (*)(void *, int)``, ``const char[16]``, as compilers spell them."""

from __future__ import annotations

import re
from collections.abc import Callable

from wasqlite.bridge.cdef.arrays import ArrayType
from wasqlite.bridge.cdef.pointertype import array_of, pointer_to
from wasqlite.bridge.cdef.types import CType, FunctionType, Void
from wasqlite.bridge.errors import DeclarationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    Named = Callable[[str], tuple[CType, bool]]

_TOKEN = re.compile(r"\s*(\.\.\.|[A-Za-z_$][\w$]*|\d\w*|[*()\[\],])")
_IGNORED = {"volatile", "restrict", "__restrict", "__restrict__", "__volatile__", "extern", "static", "register"}
_QUALIFIERS = {"const", "_Nonnull", "_Nullable", *_IGNORED}
_TAGS = {"struct", "union", "enum"}
WORDS = {"void", "char", "short", "int", "long", "signed", "unsigned", "float", "double", "_Bool", "bool", "__int128"}


class Reader:
    """One pass over one type name. ``named`` finds a type by name, and tells whether its typedef makes it const."""

    def __init__(self, text: str, named: Named) -> None:
        self.text = text
        self.named = named
        self.tokens: list[str] = []
        position = 0
        stripped = text.rstrip()
        while position < len(stripped):
            match = _TOKEN.match(stripped, position)
            if match is None:
                self.fail()
            self.tokens.append(match[1])
            position = match.end()
        self.at = 0

    def fail(self) -> NoReturn:
        raise DeclarationError(f"not a C type: {self.text!r}")

    def peek(self, ahead: int = 0) -> str:
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else ""

    def take(self, wanted: str | None = None) -> str:
        token = self.peek()
        if not token or (wanted is not None and token != wanted):
            self.fail()
        self.at += 1
        return token

    def whole(self) -> tuple[CType, bool]:
        """All of the text as one type, and whether it is const."""
        base, const = self.specifiers()
        ctype = self.declarator(base, const)
        if self.at != len(self.tokens):
            self.fail()
        return ctype, const and ctype is base

    def specifiers(self) -> tuple[CType, bool]:
        """The part before the declarator."""
        const = False
        words: list[str] = []
        name = ""
        while token := self.peek():
            if token in ("const", "__const"):
                const = True
            elif token in _TAGS and not words and not name:
                self.take()
                name = f"{token} {self.peek()}"
                if not is_name(self.peek()):
                    self.fail()
            elif token in WORDS and not name:
                words.append(token)
            elif token not in _IGNORED:
                if words or name or not is_name(token):
                    break
                name = token
            self.take()
        if not words and not name:
            self.fail()
        base, more = self.named(name or normal(words, self.fail))
        return base, const or more

    def declarator(self, base: CType, const: bool) -> CType:
        """The declarator, abstract or with a name, around ``base``."""
        while self.peek() == "*":
            self.take()
            base, const = pointer_to(base, const), False
            while self.peek() in _QUALIFIERS:
                const |= self.take() == "const"
        if self.peek() == "(" and self.peek(1) in ("*", "(", "["):
            self.take()
            begin = self.at
            self.skip()
            outer = self.suffixes(base, const)
            end, self.at = self.at, begin
            inner = self.declarator(outer, False)
            self.take(")")
            self.at = end
            return inner
        if is_name(self.peek()):
            self.take()
        return self.suffixes(base, const)

    def skip(self) -> None:
        """Go behind the parenthesis that closes this one."""
        depth = 1
        while depth:
            token = self.take()
            depth += (token == "(") - (token == ")")

    def suffixes(self, base: CType, const: bool) -> CType:
        """``[n]`` and ``(parameters)``."""
        if self.peek() == "[":
            self.take()
            while self.peek() in ("static", "const", "restrict"):
                self.take()
            length = None if self.peek() == "]" else self.number(self.take())
            self.take("]")
            return array_of(self.suffixes(base, const), length, const)
        if self.peek() == "(":
            self.take()
            params, variadic = self.params()
            return FunctionType(base, params, variadic)
        return base

    def number(self, token: str) -> int:
        try:
            return int(token.rstrip("uUlL"), 0)
        except ValueError:
            self.fail()

    def params(self) -> tuple[tuple[CType, ...], bool]:
        """The parameters of a function, up to the parenthesis: arrays and functions among them are pointers."""
        params: list[CType] = []
        variadic = False
        while self.peek() != ")":
            if self.peek() == "...":
                self.take()
                variadic = True
                break
            param = self.declarator(*self.specifiers())
            if isinstance(param, ArrayType):
                param = param.decayed
            elif isinstance(param, FunctionType):
                param = pointer_to(param)
            params.append(param)
            if self.peek() != ")":
                self.take(",")
                if self.peek() == ")":
                    self.fail()
        self.take(")")
        if len(params) == 1 and isinstance(params[0], Void):
            params = []
        return tuple(params), variadic


def is_name(token: str) -> bool:
    """Whether a token is an identifier."""
    return token[:1].isalpha() or token[:1] in ("_", "$")


def normal(words: list[str], fail: Callable[[], NoReturn]) -> str:
    """The usual spelling of a built-in type whose words may come in any order."""
    rest = sorted(words)
    if any(words.count(word) > (2 if word == "long" else 1) for word in words):
        fail()
    sign = "unsigned " if "unsigned" in rest else ""
    signed = "signed" in rest
    rest = [word for word in rest if word not in ("signed", "unsigned")]
    if len(rest) > 1 and "int" in rest and "double" not in rest:
        rest.remove("int")
    base = {"bool": "_Bool", "": "int"}.get(" ".join(rest), " ".join(rest))
    if base == "double long":
        base = "long double"
    if (sign or signed) and base not in ("char", "short", "int", "long", "long long", "__int128"):
        fail()
    if base == "char" and signed:
        return "signed char"
    if base not in ("long long", "long double") and len(rest) > 1:
        fail()
    return sign + base
