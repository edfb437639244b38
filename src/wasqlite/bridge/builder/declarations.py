"""What headers declare, as clang's syntax tree says: functions, variables, records, enumerations, typedefs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

from wasqlite.bridge.builder.report import BuildError

Node = dict[str, Any]
Place = tuple[str, int, int]

# How clang writes a type without a name, within any number of others: "union outer::(anonymous at x.h:3:5)".
_SCOPE = r"(?:(?:\w+|\((?:unnamed|anonymous)[^()]*\))::)*"
UNNAMED = re.compile(
    rf"\b(struct|union|enum) {_SCOPE}\((?:unnamed|anonymous)(?: struct| union| enum)? at (.+?):(\d+):(\d+)\)"
)
_SCOPED = re.compile(r"\b(struct|union|enum) (?:\w+::)+(\w+)")
_ATTRIBUTE = re.compile(r" ?__attribute__\(\((?:[^()]|\([^()]*\))*\)\)")
_IGNORED = re.compile(r" ?\b(?:restrict|__restrict|_Nonnull|_Nullable|_Null_unspecified)\b")
# clang's own names for the types of sizeof and of pointer differences; table.py has the compiler confirm them.
BUILT_IN = {"__size_t": "unsigned long", "__signed_size_t": "long", "__ptrdiff_t": "long"}
_BUILT_IN = re.compile(r"\b__(?:size_t|signed_size_t|ptrdiff_t)\b")
_WORD = re.compile(r"(?:(?:struct|union|enum) [\w$]+|\w+)")


@dataclass(frozen=True)
class Field:
    """A field: its name (None: the members of an unnamed record), its type, and whether it is a bit-field."""

    name: str | None
    type: str
    is_bits: bool


@dataclass(frozen=True)
class Record:
    """A struct or union; ``fields`` is None while it is only named."""

    name: str
    kind: str
    place: Place
    fields: list[Field] | None
    # Where its layout is found: its name, or the place of what has no name.
    layout: str | Place


@dataclass(frozen=True)
class Enumeration:
    """An enum, and its constants in order. ``expression`` is a C type name that means it, None if there is none."""

    name: str
    place: Place
    constants: list[str]
    expression: str | None


@dataclass(frozen=True)
class Function:
    """A function's type, the names of its parameters (None for one without, and for ``...``)."""

    type: str
    params: list[str | None]
    # All that declare it.
    files: frozenset[str]


@dataclass(frozen=True)
class Variable:
    """An ``extern`` variable's type."""

    type: str
    files: frozenset[str]


@dataclass
class Declarations:
    """All declarations of a translation unit, by name."""

    typedefs: dict[str, tuple[str, Place]] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    enums: dict[str, Enumeration] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    # Functions that no other file can call.
    static: set[str] = field(default_factory=set)

    def names_in(self, type_: str) -> list[str]:
        """The typedefs, records and enumerations that a type is written with."""
        tables = (self.typedefs, self.records, self.enums)
        return [word for word in _WORD.findall(type_) if any(word in table for table in tables)]


def read_declarations(syntax_tree: str) -> Declarations:
    """Read what ``clang -Xclang -ast-dump=json`` wrote."""
    tree = json.loads(syntax_tree)
    _Places().annotate(tree)
    return _Collector(tree).found


class _Places:
    """Tells where each node stands: clang writes file and line only where they change."""

    def __init__(self) -> None:
        self.file = ""
        self.line = 0
        # What a line "#line 100 "grammar.y"" makes of that.
        self.said_file = ""
        self.said_line = 0

    def annotate(self, value: Any) -> tuple[Place, Place] | None:
        """Put the place of each node into it, as ``at``, and as ``said`` the one that a type without a name is called
        after; return the last of both."""
        if isinstance(value, list):
            for item in value:
                self.annotate(item)
        elif isinstance(value, dict):
            if "offset" in value:
                self._go(value)
                column = value.get("col", 0)
                return (self.file, self.line, column), (self.said_file, self.said_line, column)
            last = None
            for key, item in list(value.items()):
                if key == "includedFrom" or not isinstance(item, dict | list):
                    continue
                place = self.annotate(item)
                if key == "loc" and place is not None:
                    value["at"], value["said"] = place
                last = place
            return last
        return None

    def _go(self, place: Node) -> None:
        """Go on to another place. What "#line" said is written where it changes and is not true."""
        if "file" in place:
            self.file = self.said_file = place["file"]
        if "line" in place:
            self.line = self.said_line = place["line"]
        self.said_file = place.get("presumedFile", self.said_file)
        self.said_line = place.get("presumedLine", self.said_line)


class _Collector:
    def __init__(self, tree: Node) -> None:
        self.found = Declarations()
        # The name that we give to what has none, by the declaration's identity and by its place.
        self._unnamed: dict[str, str] = {}
        self._places: dict[Place, str] = {}
        self._tags: list[Node] = []
        nodes = [node for node in tree.get("inner", []) if "at" in node or node.get("isImplicit")]
        for node in nodes:
            self._name_tags(node)
        self._typedef_names = self._find_typedef_names(nodes)
        for node in self._tags:
            self._tag(node)
        for node in nodes:
            self._declaration(node)

    def _name_tags(self, node: Node) -> None:
        if node["kind"] not in ("RecordDecl", "EnumDecl"):
            return
        self._tags.append(node)
        if "name" not in node:
            place = node["said"]
            if place in self._places:
                raise BuildError(f"two types without a name at {place[0]}:{place[1]} (from a macro?): give them names")
            name = f"{node.get('tagUsed', 'enum')} ${len(self._unnamed) + 1}"
            self._unnamed[node["id"]] = self._places[place] = name
        for inner in node.get("inner", []):
            self._name_tags(inner)

    def _find_typedef_names(self, nodes: list[Node]) -> dict[str, str]:
        """The typedef that is the only name of a type, by the type's identity."""
        names: dict[str, str] = {}
        for node in nodes:
            if node["kind"] == "TypedefDecl":
                for inner in node.get("inner", []):
                    identity = inner.get("decl", {}).get("id")
                    if inner["kind"] in ("RecordType", "EnumType") and identity in self._unnamed:
                        names.setdefault(identity, node["name"])
        return names

    def _type(self, node: Node) -> str:
        return self._clean(node["type"]["qualType"])

    def _clean(self, text: str) -> str:
        """A type as C writes it, with our names for what has none, and without what says nothing to a caller."""

        def name(match: re.Match[str]) -> str:
            place = match[2], int(match[3]), int(match[4])
            return self._places.get(place, match[0])

        text = UNNAMED.sub(name, text)
        text = _SCOPED.sub(r"\1 \2", text)
        text = _BUILT_IN.sub(lambda match: BUILT_IN[match[0]], text)
        if "vector" not in text:
            text = _ATTRIBUTE.sub("", text)
        return _IGNORED.sub("", text)

    def _tag(self, node: Node) -> None:
        name = self._unnamed.get(node["id"]) or f"{node.get('tagUsed', 'enum')} {node['name']}"
        if node["kind"] == "EnumDecl":
            constants = [inner["name"] for inner in node.get("inner", []) if inner["kind"] == "EnumConstantDecl"]
            if constants or name not in self.found.enums:
                expression = self._typedef_names.get(node["id"]) if "name" not in node else name
                self.found.enums[name] = Enumeration(name, node["at"], constants, expression)
            return
        fields = None
        if node.get("completeDefinition"):
            members = [inner for inner in node.get("inner", []) if inner["kind"] == "FieldDecl"]
            fields = [Field(m.get("name"), self._type(m), bool(m.get("isBitfield"))) for m in members]
        if fields is not None or name not in self.found.records:
            layout = name if "name" in node else node["said"]
            self.found.records[name] = Record(name, node["tagUsed"], node["at"], fields, layout)

    def _declaration(self, node: Node) -> None:
        place: Place = node.get("at", ("", 0, 0))
        files = frozenset((place[0],))
        if node["kind"] == "TypedefDecl":
            self.found.typedefs[node["name"]] = self._typedef(node), place
        elif node["kind"] == "FunctionDecl" and node.get("storageClass") == "static":
            self.found.static.add(node["name"])
        elif node["kind"] == "FunctionDecl" and not node.get("isImplicit"):
            known = self.found.functions.get(node["name"])
            params = [inner.get("name") for inner in node.get("inner", []) if inner["kind"] == "ParmVarDecl"]
            variadic = [None] if node.get("variadic") else []
            found = Function(self._type(node), [*params, *variadic], files)
            if known:
                # The one that names its parameters tells more.
                better = found if any(params) and not any(known.params) else known
                found = replace(better, files=files | known.files)
            self.found.functions[node["name"]] = found
        elif node["kind"] == "VarDecl" and node.get("storageClass") == "extern":
            seen = self.found.variables.get(node["name"])
            self.found.variables[node["name"]] = (
                replace(seen, files=files | seen.files) if seen else Variable(self._type(node), files)
            )

    def _typedef(self, node: Node) -> str:
        """What a typedef means. clang calls what has no other name after the typedef: "struct point_t"."""
        text = self._type(node)
        for identity in _referred(node):
            name = self._unnamed.get(identity)
            typedef = self._typedef_names.get(identity)
            if name and typedef:
                text = re.sub(rf"\b{name.partition(' ')[0]} {typedef}\b", name, text)
        return text


def _referred(node: Node) -> list[str]:
    """The identities of the declarations that a typedef's type is made of."""
    found = []
    for inner in node.get("inner", []):
        if "decl" in inner:
            found.append(inner["decl"]["id"])
        found += _referred(inner)
    return found
