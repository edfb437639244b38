"""C type names: how compilers and people spell them, and the same again when they are spelled out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasqlite.bridge import DeclarationError
from wasqlite.bridge.cdef.layout import Layout

TABLE = {
    "format": 1,
    "typedefs": {
        "binary": "int (*)(int, int)",
        "text": "const char *",
        "fixed": "const int",
        "row": "int[4]",
        "$point": "struct $1",
    },
    "records": {"struct $1": {"kind": "struct", "size": 4, "align": 4, "fields": []}},
    "enums": {"enum color": {"type": "unsigned int", "values": {}}},
}


@pytest.fixture(scope="module")
def layout():
    return Layout(TABLE)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("unsigned", "unsigned int"),
        ("signed", "int"),
        ("long unsigned int", "unsigned long"),
        ("long long int", "long long"),
        ("int long unsigned long", "unsigned long long"),
        ("short int", "short"),
        ("char signed", "signed char"),
        ("double long", "long double"),
        ("bool", "_Bool"),
        ("uint8_t", "unsigned char"),
        ("char const *", "const char *"),
        ("const char *const restrict", "const char *"),
        ("volatile int * volatile", "int *"),
        ("struct x *const *", "struct x *const *"),
        ("struct point*", "struct point *"),
        ("enum color [3]", "enum color[3]"),
        ("int[2][3]", "int[2][3]"),
        ("int *[2]", "int *[2]"),
        ("int (*)[2]", "int (*)[2]"),
        ("int(*)(void)", "int (*)(void)"),
        ("int ()", "int (void)"),
        ("int (*(*)[3])(void)", "int (*(*)[3])(void)"),
        ("void (*(int, void (*)(int)))(int)", "void (*(int, void (*)(int)))(int)"),
        ("void (*signal(int number, void (*handler)(int)))(int)", "void (*(int, void (*)(int)))(int)"),
        ("int (const char *format, ...)", "int (const char *, ...)"),
        ("int (int values[4], int function(int), row r)", "int (int *, int (*)(int), int *)"),
        ("binary", "int (*)(int, int)"),
        ("binary *", "int (**)(int, int)"),
        ("text[2]", "const char *[2]"),
        ("fixed *", "const int *"),
        ("row *", "int (*)[4]"),
        ("$point *", "$point *"),
        ("struct $1", "$point"),
        ("char[0x10]", "char[16]"),
        ("size_t", "unsigned long"),
    ],
)
def test_spellings(layout, text, spelled):
    assert layout.type(text).spell() == spelled


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "*", "int int", "unsigned double", "unsigned unsigned float", "long long double", "char char",
        "int )", "int (", "int (*", "int [", "int [2", "int [x]", "int (int,)", "int (int int)", "int (..., int)",
        "struct", "int; int", "int # int", "float[2", "missing", "enum missing", "void[3]", "int (*)(missing)",
        "signed _Bool", "short double", "struct *", "struct", "union 5", "struct [3]",
    ],
)  # fmt: skip
def test_what_is_no_type(layout, text):
    with pytest.raises(DeclarationError):
        layout.type(text)


def test_types_are_unique(layout):
    for name in ("int", "const char *", "struct point *", "int[3]", "binary *"):
        assert Layout(TABLE).type(name) is not layout.type(name)
    assert layout.type("char const*") is layout.type("const char *")
    assert layout.type("text") is layout.type("const char *")
    assert layout.type("unsigned long int[3]") is layout.type("size_t[3]")
    assert layout.type("const char *") is not layout.type("char *")


def declared(inner):
    """A declarator around another one."""
    return st.one_of(
        inner.map(lambda d: f"*{d}"),
        inner.map(lambda d: f"(*{d})"),
        st.tuples(inner, st.integers(1, 9)).map(lambda pair: f"(*{pair[0]})[{pair[1]}]"),
        inner.map(lambda d: f"(*{d})(int, char *)"),
        inner.map(lambda d: f"(*{d})(void)"),
    )


@given(
    st.sampled_from(["int", "const char", "unsigned long long", "struct point", "enum color", "void", "double"]),
    st.recursive(st.just(""), declared, max_leaves=6),
)
def test_a_type_that_is_spelled_out_is_the_same_type(base, declarator):
    layout = Layout(TABLE)
    try:
        ctype = layout.type(f"{base} {declarator}")
    except DeclarationError:
        return  # an array of something without a size
    again = layout.type(ctype.spell())
    assert again.spell() == ctype.spell()
    assert (again.size, again.align, type(again)) == (ctype.size, ctype.align, type(ctype))
