"""Which functions, variables and constants a module has."""

from __future__ import annotations

import json
import math

import pytest

from wasqlite.bridge import DeclarationError, Library, PointerError
from wasqlite.bridge.builder import BuildError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conftest import Project

HEADER = """
#ifndef LIB_H
#define LIB_H
#include <stddef.h>
#include "other.h"
#define LIB_VERSION 3
#define LIB_RATIO 2.5
#define LIB_NAME "lib" "rary"
#define LIB_LOWEST (-9223372036854775807LL - 1)
#define LIB_HIGHEST 0xFFFFFFFFFFFFFFFFull
#define LIB_MASK (1u << 31)
#define LIB_CHARACTER 'x'
#define LIB_API extern
#define LIB_TYPE int
#define LIB_BEGIN {
#define LIB_CALL() 1
#define LIB_EMPTY
#define LIB_VARIABLE lib_counter
#define LIB_STATEMENT ; int x
#define LIB_NOT_UTF8 "\\xff"
LIB_API int lib_add(int a, int b);
int lib_missing(int a);
static inline int lib_inline(int a) { return a; }
extern int lib_counter;
extern int lib_missing_counter;
extern const char *const lib_text;
int lib_format(const char *restrict format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void lib_stop(void (*before)(int) __attribute__((noreturn)));
#endif
"""
SOURCE = """
#include "lib.h"
int lib_counter = 40;
const char *const lib_text = "text";
int lib_add(int a, int b) { lib_counter++; return a + b; }
int lib_other(void) { return 1; }
int lib_format(const char *format, ...) { return format[0]; }
_Noreturn void lib_stop(void (*before)(int)) { before(1); __builtin_trap(); }
int lib_private(void) { return 2; }
"""


@pytest.fixture
def lib(project: Project) -> Project:
    project.write("c/lib.h", HEADER).write("c/other.h", "int lib_other(void);\n").write("c/lib.c", SOURCE)
    return project


def configured(lib: Project, more: str = "") -> Project:
    return lib.configure(f'sources = ["c/*.c"]\ninclude = ["c"]\nheaders = ["lib.h"]\n{more}')


def test_functions_are_those_that_named_headers_declare_and_sources_define(lib: Project) -> None:
    functions = configured(lib).table()["functions"]
    assert list(functions) == ["lib_add", "lib_format", "lib_stop"]
    assert functions["lib_add"] == {"type": "int (int, int)", "params": ["a", "b"]}


def test_variadic_functions_end_with_a_nameless_parameter(lib: Project) -> None:
    functions = configured(lib).table()["functions"]
    assert functions["lib_format"] == {"type": "int (const char *, ...)", "params": ["format", None]}


def test_attributes_are_no_part_of_a_type(lib: Project) -> None:
    assert configured(lib).table()["functions"]["lib_stop"]["type"] == "void (void (*)(int))"


def test_variables_are_exported_with_their_address(lib: Project) -> None:
    assert configured(lib).table()["variables"] == {
        "lib_counter": {"type": "int"},
        "lib_text": {"type": "const char *const"},
    }
    exports = Library.load(lib.folder / "point.wasm").exports
    assert "lib_counter" in exports and "lib_missing_counter" not in exports


def test_a_module_exports_what_the_bridge_needs(lib: Project) -> None:
    exports = Library.load(configured(lib).build().wasm).exports
    needed = {"memory", "__stack_pointer", "__indirect_function_table", "malloc", "realloc", "free", "_initialize"}
    assert needed <= set(exports)
    assert "lib_private" not in exports


def test_patterns_reach_into_included_headers(lib: Project) -> None:
    assert list(configured(lib, 'functions = ["lib_*"]').table()["functions"]) == [
        "lib_add",
        "lib_format",
        "lib_other",
        "lib_stop",
    ]


def test_functions_of_the_c_library_can_be_named(lib: Project) -> None:
    configured(lib, 'functions = ["lib_add", "strlen"]\ndeclarations = "#include <string.h>"')
    assert lib.table()["functions"]["strlen"]["type"] == "unsigned long (const char *)"


def test_a_function_that_no_header_declares_is_an_error(lib: Project) -> None:
    with pytest.raises(BuildError, match="functions: no header declares lib_private"):
        configured(lib, 'functions = ["lib_private"]').build()


def test_a_static_function_is_an_error_that_says_so(lib: Project) -> None:
    with pytest.raises(BuildError, match="lib_inline is static; add a function that calls it"):
        configured(lib, 'functions = ["lib_inline"]').build()


def test_a_pattern_that_fits_nothing_is_an_error(lib: Project) -> None:
    with pytest.raises(BuildError, match=r"functions: the pattern nothing_\* fits nothing"):
        configured(lib, 'functions = ["nothing_*"]').build()


def test_a_named_function_without_definition_is_the_linkers_error(
    lib: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BuildError, match="linking failed"):
        configured(lib, 'functions = ["lib_missing"]').build()
    assert "lib_missing" in capfd.readouterr().err


def test_a_module_without_functions_is_an_error(lib: Project) -> None:
    lib.configure('sources = ["c/lib.c"]\ninclude = ["c"]\ndeclarations = "int elsewhere(void);"')
    with pytest.raises(BuildError, match="no function to call"):
        lib.build()


def test_constants_have_the_compilers_values(lib: Project) -> None:
    constants = configured(lib, 'constants = ["LIB_*"]').table()["constants"]
    assert constants == {
        "LIB_CHARACTER": 120,
        "LIB_HIGHEST": (1 << 64) - 1,
        "LIB_LOWEST": -(1 << 63),
        "LIB_MASK": 1 << 31,
        "LIB_NAME": "library",
        "LIB_RATIO": 2.5,
        "LIB_VERSION": 3,
    }


def test_constants_of_the_c_library_can_be_named(lib: Project) -> None:
    configured(lib, 'constants = ["EOF", "HUGE_VAL"]\ndeclarations = "#include <stdio.h>\\n#include <math.h>"')
    assert lib.table()["constants"] == {"EOF": -1, "HUGE_VAL": math.inf}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("LIB_API", "LIB_API has no constant value: expected expression"),
        ("LIB_VARIABLE", "LIB_VARIABLE has no constant value: initializer element is not a compile-time constant"),
        ("LIB_NOT_UTF8", "its text is not UTF-8"),
        ("LIB_BEGIN", "no header declares LIB_BEGIN"),
        ("lib_nothing", "no header declares lib_nothing"),
    ],
)
def test_a_named_constant_without_value_is_an_error(lib: Project, name: str, reason: str) -> None:
    with pytest.raises(BuildError, match=reason):
        configured(lib, f'constants = ["{name}"]').build()


def test_headers_of_generators_say_other_lines(project: Project) -> None:
    project.write(
        "parser.h",
        """
#include "other.h"
#line 100 "grammar.y"
union value { struct { char c; int a; } pair; enum { ONE = 1, TWO } kind; };
struct after { struct { int a; } in;
  union { int i; float f; } u; };
#include "other.h"
typedef struct { long long wide; } later;
#line 7 "parser.h"
struct again { struct { char c[3]; } in; };
#define LIMIT 5
int get(union value *v, struct after *a, struct other *o, later *l, struct again *n);
""",
    )
    project.write("other.h", "#ifndef OTHER\n#define OTHER\n\n\nstruct other { struct { short s; } in; };\n#endif\n")
    project.write(
        "parser.c",
        '#include "parser.h"\nint get(union value *v, struct after *a, struct other *o, later *l, struct again *n)\n'
        "{ return v->pair.a + a->in.a + a->u.i + o->in.s + (int)l->wide + n->in.c[2]; }\n",
    )
    project.configure('sources = ["parser.c"]\nheaders = ["parser.h"]\nconstants = ["LIM*"]')
    with Library.load(project.build().wasm).open() as guest:
        value = guest.new("union value *", {"pair": {"a": 1}})
        after = guest.new("struct after *", {"in": {"a": 2}, "u": {"i": 3}})
        other = guest.new("struct other *", {"in": {"s": 4}})
        again = guest.new("struct again *", {"in": {"c": b"\0\0\6"}})
        assert guest.lib.get(value, after, other, guest.new("later *", {"wide": 5}), again) == 21
        assert (guest.lib.TWO, guest.lib.LIMIT) == (2, 5)


def test_arrays_that_are_declared_without_a_length(project: Project) -> None:
    project.write("text.c", 'char text[] = "hello"; int get(void) { return text[0]; }\n')
    project.configure('sources = ["text.c"]\ndeclarations = "extern char text[]; int get(void);"')
    with Library.load(project.build().wasm).open() as guest:
        assert guest.lib.text.string() == b"hello"
        guest.lib.text[0] = b"j"
        assert guest.cast("char *", guest.addressof("text")).string() == b"jello"
        assert guest.lib.get() == ord("j")
        for refused in (lambda: len(guest.lib.text), lambda: guest.lib.text.bytes()):
            with pytest.raises((TypeError, PointerError)):
                refused()
        with pytest.raises(DeclarationError, match=r"the size of char\[\] is not known"):
            guest.lib.text = b"too long, perhaps"


def test_enumerations_may_have_any_integer_type(project: Project) -> None:
    kinds = ["_Bool", "char", "signed char", "unsigned char", "short", "unsigned int", "long", "unsigned long long"]
    header = "".join(f"enum e{i} : {kind} {{ E{i} = 1 }};\n" for i, kind in enumerate(kinds))
    functions = "".join(f"enum e{i} f{i}(enum e{i} e) {{ return e; }}\n" for i in range(len(kinds)))
    prototypes = functions.replace(" { return e; }", ";")
    project.write("e.h", header + prototypes).write("e.c", f'#include "e.h"\n{functions}')
    outputs = project.configure('sources = ["e.c"]\nheaders = ["e.h"]').build()
    enums = json.loads(outputs.types.read_bytes())["enums"]
    assert [enums[f"enum e{i}"]["type"] for i in range(len(kinds))] == kinds
    with Library.load(outputs.wasm).open() as guest:
        assert [getattr(guest.lib, f"f{i}")(1) for i in range(len(kinds))] == [1] * len(kinds)


def test_defines_decide_what_is_declared(lib: Project) -> None:
    lib.write("c/lib.h", HEADER.replace("#endif", "#ifdef EXTRA\nint lib_private(void);\n#endif\n#endif"))
    assert "lib_private" not in configured(lib).table()["functions"]
    assert "lib_private" in configured(lib, "defines = { EXTRA = 1 }").table()["functions"]


def test_parameters_may_be_called_what_they_like(project: Project) -> None:
    names = ["len", "self", "lambda", "BaseException", "_", "__", "__n", "_1", "a$b", "_self", "Pointer"]
    declaration = f"int sum({', '.join(f'int {name}' for name in names)}, const char *s)"
    project.write("sum.c", f"{declaration} {{ return {' + '.join(names)} + s[0]; }}\n")
    project.configure(f'sources = ["sum.c"]\ndeclarations = "{declaration};"')
    outputs = project.build()
    compile(outputs.stub.read_text(), "point.pyi", "exec")
    with Library.load(outputs.wasm).open() as guest:
        assert guest.lib.sum(*range(len(names)), b"\n") == sum(range(len(names))) + 10


def test_types_may_be_called_what_they_like(project: Project) -> None:
    get = "int get(__point *p, struct _a *q, _ *s, Lib *t)"
    text = "".join(f"typedef struct {{ int a; }} {name};\n" for name in ("__point", "_", "Lib"))
    project.write("names.h", f"{text}struct _a {{ int a; }};\n{get};\n")
    project.write("names.c", f'#include "names.h"\n{get} {{ return p->a + q->a + s->a + t->a; }}\n')
    outputs = project.configure('sources = ["names.c"]\nheaders = ["names.h"]').build()
    compile(outputs.stub.read_text(), "point.pyi", "exec")
    with Library.load(outputs.wasm).open() as guest:
        assert guest.lib.get(*(guest.new(f"{name} *", {"a": 1}) for name in ("__point", "struct _a", "_", "Lib"))) == 4


def test_functions_in_headers_may_be_as_deep_as_they_like(project: Project) -> None:
    steps = "".join(f"else if (x == {i}) return {i * i};\n" for i in range(1, 700))
    project.write("deep.h", f"static inline int square(int x) {{ if (x == 0) return 0;\n{steps} return -1; }}\n")
    project.write("deep.c", '#include "deep.h"\nint call(int x) { return square(x); }\n')
    project.configure(
        'sources = ["deep.c"]\nheaders = ["deep.h"]\n'
        'declarations = "struct s { int a; }; int call(int x);'
        ' static inline int f(void) { struct s { long long b; } x = {1}; return x.b; }"'
    )
    outputs = project.build()
    assert json.loads(outputs.types.read_bytes())["records"]["struct s"]["size"] == 4
    with Library.load(outputs.wasm).open() as guest:
        assert guest.lib.call(600) == 360_000
