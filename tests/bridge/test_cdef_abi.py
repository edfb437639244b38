"""Random structs, by value and by pointer, in all directions: C itself says whether what arrived is what was sent."""

from __future__ import annotations

import random
import struct

import pytest

# Name, and struct's letter.
SCALARS = {
    "signed char": "b", "unsigned char": "B", "short": "h", "unsigned short": "H", "int": "i", "unsigned int": "I",
    "long": "i", "unsigned long": "I", "long long": "q", "unsigned long long": "Q", "float": "f", "double": "d",
}  # fmt: skip
COUNT = 40


class Record:
    """A random struct or union: its C text, and the paths to its scalars."""

    def __init__(self, rng: random.Random, number: int, earlier: list[Record]) -> None:
        self.name = f"r{number}"
        self.union = rng.random() < 0.1
        self.leaves: list[tuple[tuple[str | int, ...], str, int | None]] = []
        members = []
        for position in range(rng.choice([1, 1, 2, 3, 4, 6])):
            name = f"m{position}"
            shape = rng.random()
            if shape < 0.2 and earlier:
                inner = rng.choice(earlier)
                members.append(f"struct {inner.name} {name};")
                leaves = [((name, *path), ctype, bits) for path, ctype, bits in inner.leaves]
            elif shape < 0.35:
                ctype = rng.choice(list(SCALARS))
                length = rng.choice([1, 2, 3])
                members.append(f"{ctype} {name}[{length}];")
                leaves = [((name, index), ctype, None) for index in range(length)]
            elif shape < 0.55 and not self.union:
                ctype = rng.choice(["int", "unsigned int", "unsigned char", "long long"])
                bits = rng.randint(1, 8 * struct.calcsize("<" + SCALARS[ctype]))
                members.append(f"{ctype} {name} : {bits};")
                leaves = [((name,), ctype, bits)]
            else:
                ctype = rng.choice(list(SCALARS))
                members.append(f"{ctype} {name};")
                leaves = [((name,), ctype, None)]
            # Of a union, one member is enough: its others are the same bytes.
            if not self.union or not self.leaves:
                self.leaves += leaves
        inside = " ".join(members)
        # A union in a struct, so that all are structs by name.
        self.text = (
            f"struct {self.name} {{ union {{ {inside} }}; }};" if self.union else f"struct {self.name} {{ {inside} }};"
        )

    def functions(self) -> str:
        """C functions that make such a struct of its scalars, and compare it with them."""
        name = f"struct {self.name}"
        params = ", ".join(f"{ctype} v{i}" for i, (_, ctype, _) in enumerate(self.leaves))
        values = ", ".join(f"v{i}" for i in range(len(self.leaves)))
        places = [_c_path(path) for path, _, _ in self.leaves]
        sets = " ".join(f"r{place} = v{i};" for i, place in enumerate(places))
        equal = " && ".join(f"r{place} == v{i}" for i, place in enumerate(places))
        return f"""
{name} make_{self.name}({params}) {{ {name} r; memset(&r, 0, sizeof r); {sets} return r; }}
int equal_{self.name}(int before, {name} r, {params}) {{ return before == 77 && {equal}; }}
int at_{self.name}(const {name} *p, {params}) {{ {name} r = *p; return {equal}; }}
int via_{self.name}({name} (*f)(int, {name}), {params})
{{ {name} r = f(78, make_{self.name}({values})); return {equal}; }}
unsigned long size_{self.name}(void) {{ return sizeof({name}); }}
"""

    def values(self, rng: random.Random) -> list[int | float]:
        """Random values for its scalars."""
        found: list[int | float] = []
        for _, ctype, bits in self.leaves:
            letter = SCALARS[ctype]
            if letter in "fd":
                found.append(rng.choice([0.0, 1.5, -2.25, float(rng.randint(-(2**20), 2**20))]))
                continue
            size = bits or 8 * struct.calcsize("<" + letter)
            low, high = (-(1 << size - 1), (1 << size - 1) - 1) if letter.islower() else (0, (1 << size) - 1)
            found.append(rng.choice([low, high, rng.randint(low, high)]))
        return found


def _c_path(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


def records() -> list[Record]:
    rng = random.Random(20)
    made: list[Record] = []
    for number in range(COUNT):
        made.append(Record(rng, number, made[-6:]))
    return made


RECORDS = records()
SOURCE = "#include <string.h>\n" + "".join(record.text + record.functions() for record in RECORDS)


def follow(pointer, path):
    for step in path:
        pointer = pointer[step]
    return pointer


def assign(pointer, path, value):
    *way, last = path
    follow(pointer, way)[last] = value


@pytest.fixture(scope="module")
def library(build_library):
    return build_library(SOURCE, name="abi")


@pytest.fixture
def guest(library):
    with library.open() as instance:
        yield instance


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_random_structs_arrive_as_they_were_sent(guest, record):
    make, equal, at, via = (getattr(guest.lib, f"{verb}_{record.name}") for verb in ("make", "equal", "at", "via"))
    rng = random.Random(record.name)
    name = f"struct {record.name}"
    assert guest.library.sizeof(name) == getattr(guest.lib, f"size_{record.name}")()
    received = []

    def copied(number, value):
        received.append((number, [follow(value, path) for path, _, _ in record.leaves]))
        copy = guest.new(f"{name} *")
        for path, _, _ in record.leaves:
            assign(copy, path, follow(value, path))
        return copy

    with guest.callback(f"{name} (int, {name})", copied) as callback:
        for _ in range(10):
            values = record.values(rng)
            made = make(*values)
            assert [follow(made, path) for path, _, _ in record.leaves] == values
            assert equal(77, made, *values) == 1
            written = guest.new(f"{name} *")
            for (path, _, _), value in zip(record.leaves, values, strict=True):
                assign(written, path, value)
            assert at(written, *values) == 1
            assert equal(77, written, *values) == 1
            assert via(callback, *values) == 1
            assert received.pop() == (78, values)
    assert guest.stats().callbacks == 0
