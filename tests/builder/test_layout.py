"""The layout table, beside what the compiled code itself says of its types."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from wasqlite.bridge import Instance, Library
from wasqlite.bridge.builder import Outputs

HEADER = """#pragma once
#include <stddef.h>
#include <stdint.h>
struct point { int x, y; };
typedef struct point point_t;
typedef struct { double re, im; } complex_t, *complex_p;
struct mixed {
  char c;
  unsigned a : 3;
  int : 2;
  unsigned long long b : 40;
  union { int i; float f; struct { short s; double d; }; };
  struct { char q[3]; } named[3];
  enum { IN_A = 1, IN_B } e;
  int (*callback)(void *, int);
  const char *const *names;
  complex_t z;
  long double precise;
  uint8_t tail[];
};
struct __attribute__((packed)) packed { char c; int i; short s : 5; };
struct aligned { char c; int i __attribute__((aligned(32))); };
union number { char c; long long l; double d; };
typedef struct node { struct node *next; union number value; } node;
struct opaque;
typedef struct opaque *handle;
typedef int matrix[2][3];
enum color { RED, GREEN = 5, BLUE, NEGATIVE = -1 };
typedef enum { BIG = 0x80000000u } big_t;
enum wide { WIDE = 1ull << 40 };
enum { LOOSE = 77 };
"""

# A record, and the fields that have an offset.
RECORDS = {
    "struct point": ["x", "y"],
    "struct mixed": ["c", "named", "e", "callback", "names", "z", "precise", "tail"],
    "struct packed": ["c", "i"],
    "struct aligned": ["c", "i"],
    "union number": ["c", "l", "d"],
    "struct node": ["next", "value"],
}


def _functions() -> str:
    """Functions that return what the table should say."""
    lines = ['#include "types.h"']
    for record, fields in RECORDS.items():
        name = record.replace(" ", "_")
        lines.append(f"size_t sizeof_{name}(void) {{ return sizeof({record}); }}")
        lines.append(f"size_t alignof_{name}(void) {{ return _Alignof({record}); }}")
        lines += [f"size_t offsetof_{name}_{field}(void) {{ return offsetof({record}, {field}); }}" for field in fields]
    lines.append("size_t sizeof_complex_t(void) { return sizeof(complex_t); }")
    lines.append("size_t offsetof_inner_d(void) { return offsetof(struct mixed, d); }")
    lines.append("size_t sizeof_enum_wide(void) { return sizeof(enum wide); }")
    lines.append("struct mixed bits;")
    lines.append("void *set_a(void) { bits.a = ~0; return &bits; }")
    lines.append("void *set_b(void) { bits.a = 0; bits.b = ~0ull; return &bits; }")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory, make_project: Callable[..., Any]) -> Outputs:
    project = make_project(tmp_path_factory.mktemp("layout"))
    source = _functions()
    project.write("types.h", HEADER).write("types.c", source)
    declared = re.sub(r" \{[^}]*\}$", ";", source, flags=re.MULTILINE).replace("struct mixed bits;", "")
    project.write("functions.h", declared)
    project.configure('sources = ["*.c"]\nheaders = ["functions.h", "types.h"]')
    return project.build()


@pytest.fixture(scope="module")
def table(outputs: Outputs, read_table: Callable[..., Any]) -> dict[str, Any]:
    return read_table(outputs)


@pytest.fixture(scope="module")
def guest(outputs: Outputs) -> Instance:
    return Library.load(outputs.wasm).open()


def offsets(record: dict[str, Any]) -> dict[str, int]:
    return {field["name"]: field["offset"] for field in record["fields"] if "offset" in field}


@pytest.mark.parametrize("record", RECORDS)
def test_sizes_and_offsets_are_those_of_the_compiled_code(record: str, table: dict[str, Any], guest: Instance) -> None:
    name, entry = record.replace(" ", "_"), table["records"][record]
    assert entry["kind"] == record.split()[0]
    assert entry["size"] == guest.function(f"sizeof_{name}")()
    assert entry["align"] == guest.function(f"alignof_{name}")()
    found = offsets(entry)
    assert {field: found[field] for field in RECORDS[record]} == {
        field: guest.function(f"offsetof_{name}_{field}")() for field in RECORDS[record]
    }


@pytest.mark.parametrize("field", ["a", "b"])
def test_bit_fields_are_where_the_compiled_code_sets_them(field: str, table: dict[str, Any], guest: Instance) -> None:
    mixed = table["records"]["struct mixed"]
    entry = next(item for item in mixed["fields"] if item["name"] == field)
    memory = guest.memory.read(guest.function(f"set_{field}")(), mixed["size"])
    assert int.from_bytes(memory, "little") == ((1 << entry["bits"]) - 1) << entry["bit_offset"]


def test_members_of_unnamed_records_are_found_through_a_field_without_name(
    table: dict[str, Any], guest: Instance
) -> None:
    records = table["records"]
    union = next(item for item in records["struct mixed"]["fields"] if item["name"] is None)
    struct = next(item for item in records[union["type"]]["fields"] if item["name"] is None)
    inner = offsets(records[struct["type"]])["d"]
    assert union["offset"] + struct["offset"] + inner == guest.function("offsetof_inner_d")()


def test_what_only_a_typedef_names_gets_a_number(table: dict[str, Any], guest: Instance) -> None:
    name = table["typedefs"]["complex_t"]
    assert re.fullmatch(r"struct \$\d+", name)
    assert table["typedefs"]["complex_p"] == f"{name} *"
    assert table["records"][name]["size"] == guest.function("sizeof_complex_t")()


def test_enumerations(table: dict[str, Any], guest: Instance) -> None:
    enums = table["enums"]
    color = {"RED": 0, "GREEN": 5, "BLUE": 6, "NEGATIVE": -1}
    assert enums["enum color"] == {"type": "int", "values": color}
    assert enums[table["typedefs"]["big_t"]] == {"type": "unsigned int", "values": {"BIG": 0x80000000}}
    assert enums["enum wide"] == {"type": "unsigned long long", "values": {"WIDE": 1 << 40}}
    assert guest.function("sizeof_enum_wide")() == 8
    assert {"type": "unsigned int", "values": {"LOOSE": 77}} in enums.values()


def test_opaque_records_have_no_size(table: dict[str, Any]) -> None:
    assert table["records"]["struct opaque"] == {"kind": "struct", "size": None, "align": None, "fields": []}
    assert table["typedefs"]["handle"] == "struct opaque *"


def test_types_are_written_as_in_c(table: dict[str, Any]) -> None:
    types = {field["name"]: field["type"] for field in table["records"]["struct mixed"]["fields"]}
    assert types["callback"] == "int (*)(void *, int)"
    assert types["names"] == "const char *const *"
    assert types["tail"] == "uint8_t[]"
    assert types["z"] == "complex_t"
    assert types["precise"] == "long double"
    assert table["typedefs"]["matrix"] == "int[2][3]"


def test_numbers_of_what_has_no_name_start_at_one(table: dict[str, Any]) -> None:
    numbers = {int(name.partition("$")[2]) for name in (*table["records"], *table["enums"]) if "$" in name}
    assert numbers == set(range(1, len(numbers) + 1))


def test_the_c_library_is_in_the_table_only_where_it_is_used(table: dict[str, Any]) -> None:
    assert table["typedefs"]["uint8_t"] == "unsigned char"
    assert "int_fast8_t" not in table["typedefs"]
    assert "size_t" in table["typedefs"]
