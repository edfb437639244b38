"""Contracts: a host's functions with C types, the header of them, and guests in C that are checked against it."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path
from pickle import PickleBuffer

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from guests import compiled

from wasqlite.bridge import (
    ArgumentRangeError,
    BridgeError,
    Contract,
    DeclarationError,
    HostFunction,
    Library,
    LinkError,
    Memory,
    MemoryAccessError,
    Pointer,
    PointerError,
    Policy,
    provides,
)


class Editor(Contract, module="editor", version=2, versions=[1]):
    """What an editor offers to its plug-ins."""

    types = "struct mark { int line, column; };"
    exports = ("int plugin_run(int what)",)

    def __init__(self, lines=(), offered=("sound",)):
        self.lines = list(lines)
        self.offered = offered
        self.seen = []

    def offers(self, feature):
        return feature in self.offered

    @provides("int line_count(void)")
    def count(self):
        """How many lines there are."""
        return len(self.lines)

    @provides("int line(int number, char text[capacity], size_t capacity)", error=-1, errors={IndexError: -2})
    def line(self, number, text, capacity):
        """Copy a line to `text`, as much of it as there is room for: its length."""
        data = self.lines[number].encode()
        text[: min(capacity, len(data))] = data[:capacity]
        self.view = text
        return len(data)

    @provides("void append(const char *text)")
    def append(self, text):
        self.lines.append(text)

    @provides("int append_part(const char text[size], unsigned size)", error=-1)
    def append_part(self, text, size):
        self.lines.append(text)
        return size

    @provides(
        "int64_t numbers(int8_t a, uint8_t b, short c, uint64_t d, int64_t e, float f, double g, bool h, uint32_t i)"
    )
    def numbers(self, *values):
        self.seen.append(values)
        return values[4]

    @provides("double sum(const double values[count], int count)", error=0)
    def sum(self, values, count):
        self.seen.append((type(values), values.readonly))
        return sum(values)

    @provides("uint64_t checksum(const uint8_t data[16])")
    def checksum(self, data):
        self.seen.append(data)
        return (1 << 64) - sum(data)

    @provides("void scale(short values[count], size_t count, short factor)")
    def scale(self, values, count, factor):
        for index in range(count):
            values[index] *= factor

    @provides("struct mark *move(struct mark *at, int lines)", reentrant=True)
    def move(self, at, lines):
        self.seen.append(at)
        return at

    @provides("int beep(int pitch)", error=-9, feature="sound")
    def beep(self, pitch):
        self.seen.append(pitch)
        return pitch

    @provides("void flash(void)", feature="light")
    def flash(self):
        self.seen.append("flash")


GUEST = """
#include "editor.h"
EDITOR_CONTRACT;
#include <string.h>

static struct mark here = {3, 4};
static short shorts[] = {1, -2, 300};

int plugin_run(int what) {
  char text[8];
  switch (what) {
  case 0: return line_count();
  case 1: {
    memset(text, 'x', sizeof text);
    int size = line(0, text, 5);
    append_part(text, 8);
    return size;
  }
  case 2: return line(7, text, sizeof text);
  case 3: append("gr\\303\\274n"); append(0); return line_count();
  case 4: return (int)numbers(-1, 255, -30000, 0xFFFFFFFFFFFFFFFF, -5000000000, 0.5f, -1e300, 1, 0xFFFFFFFF);
  case 5: { double values[] = {0.5, 1.5, -4}; return (int)sum(values, 3); }
  case 6: return checksum((const uint8_t *)"0123456789abcdef") == (uint64_t)0 - 1122;
  case 7: scale(shorts, 3, -2); return shorts[0] == -2 && shorts[1] == 4 && shorts[2] == -600;
  case 8: return move(&here, 1) == &here;
  case 9: return beep(440);
  case 10: return (int)sum((const double *)0xFFFFFFF0, 100);
  case 11: return line(0, (char *)0xFFFFFFF0, 100);
  case 12: return append_part((const char *)16, 0x7FFFFFFF);
  case 13: return append_part("\\377\\376", 2);
  case 14: append("\\377"); return 0;
  case 15: return line(0, text, 0xFFFFFFFF);
  case 16: return append_part(0, 0) + (int)sum(0, 0);
  case 17: return append_part(0, 3);
  default: return -100;
  }
}
"""
TYPES = {
    "format": 1,
    "records": {
        "struct mark": {
            "kind": "struct",
            "size": 8,
            "align": 4,
            "fields": [{"name": "line", "offset": 0, "type": "int"}, {"name": "column", "offset": 4, "type": "int"}],
        }
    },
    "functions": {"plugin_run": {"type": "int (int)", "params": ["what"]}},
}


def with_header(source, contract=Editor):
    return source.replace('#include "editor.h"', contract.header())


@pytest.fixture(scope="module")
def wasm():
    return compiled(with_header(GUEST)).read_bytes()


@pytest.fixture(scope="module")
def library(wasm):
    return Library(wasm, name="plugin", types=TYPES)


@pytest.fixture
def opened(library):
    instances = []

    def opener(host, **policy):
        instances.append(library.open(Policy(**policy), hosts=[host]))
        return instances[-1]

    yield opener
    for instance in instances:
        instance.close()


@pytest.fixture
def editor():
    return Editor(["hello world", "second"])


@pytest.fixture
def run(opened, editor):
    return opened(editor).function("plugin_run")


def signed(number):
    return number - (1 << 32) if number >> 31 else number


def test_numbers_come_and_go_in_their_types(run, editor):
    assert run(0) == 2
    assert signed(run(4)) == ctypes.c_int32(-5000000000).value
    assert editor.seen == [(-1, 255, -30000, (1 << 64) - 1, -5000000000, 0.5, -1e300, True, 0xFFFFFFFF)]


def test_buffers_of_a_given_length_are_written_in_place(run, editor):
    assert run(1) == 11
    assert editor.lines[-1] == "helloxxx"
    with pytest.raises(ValueError, match="released"):
        editor.view[0]
    assert run(7) == 1


def test_text_is_a_str(run, editor):
    assert run(3) == 4
    assert editor.lines[2:] == ["grün", None]


def test_arrays_to_be_read_are_copies(run, editor):
    assert signed(run(5)) == -2
    assert run(6) == 1
    assert editor.seen == [(memoryview, True), b"0123456789abcdef"]


def test_nothing_at_null_is_nothing(run, editor):
    assert run(16) == 0
    assert editor.lines[-1] == ""


def test_records_are_pointers_of_the_guests_types(run, editor, opened):
    assert run(8) == 1
    (at,) = editor.seen
    assert isinstance(at, Pointer)
    assert (at.line, at.column) == (3, 4)


def test_they_are_addresses_where_the_types_are_not_known(wasm, editor):
    bare = Library(wasm, name="plugin")
    with bare.open(hosts=[editor]) as guest:
        assert guest.function("plugin_run")(8) == 1
        (at,) = editor.seen
        assert guest.memory.read(at, 8) == b"\3\0\0\0\4\0\0\0"


def test_an_expected_exception_is_a_number(run):
    assert signed(run(2)) == -2
    assert run(0) == 2


@pytest.mark.parametrize(
    ("what", "error", "note"),
    [
        (10, MemoryAccessError, "sum() argument 'values'"),
        (11, MemoryAccessError, "line() argument 'text'"),
        (12, MemoryAccessError, "append_part() argument 'text'"),
        (13, UnicodeDecodeError, "append_part() argument 'text'"),
        (15, MemoryAccessError, "line() argument 'text'"),
        (17, BridgeError, "append_part() argument 'text'"),
    ],
)
def test_what_lies_is_refused_and_the_guest_gets_the_error_value(run, what, error, note):
    with pytest.raises(error) as caught:
        run(what)
    assert note in caught.value.__notes__
    assert run(0) == 2


def test_without_an_error_value_the_guest_is_unwound(opened, editor):
    guest = opened(editor)
    with pytest.raises(UnicodeDecodeError):
        guest.function("plugin_run")(14)
    assert guest.dead is not None


def test_a_wrong_result_is_an_error(opened):
    class Wrong(Editor):
        @provides("int line_count(void)")
        def count(self):
            return 1 << 31

    with pytest.raises(BridgeError, match="outside the range of int") as caught:
        opened(Wrong()).function("plugin_run")(0)
    assert caught.value.__notes__[0] == "the result of line_count()"


def test_one_host_serves_many_guests_and_their_clones(opened, editor):
    first, second = opened(editor), opened(editor)
    third = first.clone()
    for guest in (first, second, third):
        assert guest.function("plugin_run")(8) == 1
        assert editor.seen[-1].line == 3
    third.close()


def test_a_feature_that_is_not_offered_answers_with_its_error_value(opened):
    silent = Editor(offered=())
    assert signed(opened(silent).function("plugin_run")(9)) == -9
    assert silent.seen == []
    assert opened(Editor()).function("plugin_run")(9) == 440
    assert Editor.features() == {"sound", "light"}


# -- guests in WebAssembly text, for what no C compiler writes -------------------------------------------------------


class Odd(Contract, module="odd"):
    def __init__(self):
        self.seen = []

    @provides("int names(int method, int result, int value, const char read0[serve], int serve, int a0)")
    def names(self, *values):
        self.seen.append(values)
        return values[1]

    @provides("uint64_t most(void)", error=(1 << 64) - 1, errors={KeyError: (1 << 64) - 2})
    def most(self):
        raise self.error

    @provides("uint64_t absent(void)", error=(1 << 64) - 1, feature="none")
    def absent(self):
        raise AssertionError

    def offers(self, feature):
        return False

    @provides("int fill(char first[n], char second[n], int n)", error=-1, errors={ValueError: -2})
    def fill(self, first, second, n):
        self.views = first, second
        self.buffer = PickleBuffer(first)
        raise self.error

    @provides("int wide(const char text[n], int64_t n)", error=-1)
    def wide(self, text, n):
        return len(text)

    @provides("int narrow(const char text[n], int8_t n)", error=-1, errors={ValueError: -2})
    def narrow(self, text, n):
        self.seen.append((text, n))
        return n

    @provides("void *pointer(void)")
    def pointer(self):
        return self.answer


def odd(host, name, *arguments):
    """What a guest gets that calls a function of the contract with these, each as the type is that it has there."""
    params, result = Odd.provided[name].declaration.signature
    spelled = [{"i": "i32", "I": "i64"}[letter] for letter in params]
    types = "".join(f"(param {word})" for word in spelled) + (f"(result {'i64' if result == 'I' else 'i32'})")
    constants = " ".join(f"({word}.const {value})" for word, value in zip(spelled, arguments, strict=True))
    library = Library.from_wat(f"""(module (import "odd" "{name}" (func $f {types}))
        (memory (export "memory") 1) (data (i32.const 8) "text\\ff") (func (export "odd_abi_1"))
        (func (export "run") (result {"i64" if result == "I" else "i32"}) (call $f {constants})))""")
    with library.open(hosts=[host]) as guest:
        return guest.function("run")()


def test_parameters_may_have_any_name():
    host = Odd()
    assert odd(host, "names", 1, 2, 3, 8, 4, 5) == 2
    assert host.seen == [(1, 2, 3, "text", 4, 5)]


def test_error_values_are_of_the_result_s_type():
    host = Odd()
    host.error = KeyError()
    assert odd(host, "most") == -2
    host.error = IndexError()
    with pytest.raises(IndexError):
        odd(host, "most")
    assert odd(host, "absent") == -1


def test_a_method_that_fails_says_why_whatever_it_has_made_of_its_views():
    host = Odd()
    host.error = KeyError("mine")
    with pytest.raises(KeyError, match="mine"):
        odd(host, "fill", 8, 16, 4)
    with pytest.raises(ValueError, match="released"):
        host.views[1][0]
    host.error = ValueError()
    assert signed(odd(host, "fill", 8, 16, 4)) == -2


def test_lengths_are_what_their_own_type_says():
    host = Odd()
    assert odd(host, "narrow", 8, 0x104) == 4
    assert host.seen == [("text", 4)]
    for name, length in (("wide", (1 << 32) + 4), ("wide", -4), ("narrow", 0xFF)):
        with pytest.raises(MemoryAccessError) as caught:
            odd(host, name, 8, length)
        assert f"{name}() argument 'text'" in caught.value.__notes__


def test_what_is_wrong_with_an_argument_is_no_expected_exception():
    with pytest.raises(UnicodeDecodeError) as caught:
        odd(Odd(), "narrow", 8, 5)
    assert caught.value.__notes__ == ["narrow() argument 'text'"]


def test_a_guest_that_lied_leaves_nothing_behind(monkeypatch):
    # The exception's traceback has frames, and these no view of the guest's memory, which would have to stay for it.
    detached = []
    detach = Memory.detach
    monkeypatch.setattr(Memory, "detach", lambda memory: detached.append(detach(memory)) or detached[-1])
    host = Odd()
    host.error = KeyError()
    for name, arguments in (("narrow", (8, 5)), ("fill", (8, 0xFFFF, 4))):
        with pytest.raises((UnicodeDecodeError, MemoryAccessError)):
            odd(host, name, *arguments)
    assert detached == [True, True]


def test_addresses_are_checked(library):
    host = Odd()
    with library.open(hosts=[Editor()]) as other:
        for host.answer, error in (
            (other.cast("char *", 8), PointerError),
            (1 << 32, ArgumentRangeError),
            ("8", TypeError),
        ):
            with pytest.raises(error) as caught:
                odd(host, "pointer")
            assert caught.value.__notes__[0] == "the result of pointer()"
    for host.answer, wanted in ((None, 0), (8, 8), (-1, 0xFFFF_FFFF), (0xFFFF_FFFF, 0xFFFF_FFFF)):
        assert odd(host, "pointer") == wanted


# -- guests that do not fit ----------------------------------------------------------------------------------------


def wat(*parts):
    return Library.from_wat(f"(module {' '.join(parts)})")


MARKER = '(func (export "editor_abi_2"))'
RUN = '(func (export "plugin_run") (param i32) (result i32) (local.get 0))'


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([RUN], "it does not export editor_abi_2: say EDITOR_CONTRACT;"),
        (['(func (export "editor_abi_3"))', RUN], "it was built against version 3, and this host serves 1, 2"),
        ([MARKER], r"it does not export int plugin_run\(int what\)"),
        (
            [MARKER, '(func (export "plugin_run") (result i64) (i64.const 0))'],
            r"it exports plugin_run as \(\) -> i64, and the contract says int plugin_run\(int what\), which is \(i32",
        ),
        (['(import "editor" "undo" (func))', MARKER, RUN], "it imports undo, which the contract does not have"),
        (
            ['(import "editor" "append" (func (param i64)))', MARKER, RUN],
            r"append as \(i64\) -> nothing, and the contract says void append\(const char \*text\), which is \(i32",
        ),
        (['(import "editor" "flash" (func))', MARKER, RUN], "it imports flash, which needs the feature 'light'"),
        (
            ['(import "editor" "append" (global i32))', MARKER, RUN],
            "it imports append as something that is no function",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(parts, message):
    with pytest.raises(LinkError, match=message):
        wat(*parts).open(hosts=[Editor(offered=())])


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(LinkError) as caught:
        wat('(import "editor" "undo" (func))', '(import "editor" "line" (func))').open(hosts=[Editor()])
    assert str(caught.value).splitlines()[0] == "text does not fit the contract 'editor', version 2:"
    assert len(str(caught.value).splitlines()) == 5


def test_older_versions_are_served_too():
    wat('(func (export "editor_abi_1"))', RUN).open(hosts=[Editor()]).close()


def test_other_imports_are_other_hosts_affair():
    other = [lambda memory: [HostFunction("other", "f", "", "", lambda: None)]]
    wat('(import "other" "f" (func))', MARKER, RUN).open(hosts=[Editor(), *other]).close()


# -- declarations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ("int", "no declaration of a function"),
        ("int f(int)", "'int' is no parameter with a type and a name"),
        ("int f(widget w)", "does not declare 'widget'"),
        ("int f(struct s s)", "s is neither a number nor a pointer"),
        ("struct s f(void)", "can return a number, a pointer or nothing"),
        ("int f(char text[size])", "the length of text is neither"),
        ("int f(char text[size], double size)", "the length of text is neither"),
        ("int f(struct s items[n], int n)", "items is no array of numbers or bytes"),
        ("int f(int a, int a)", "two parameters have the same name"),
        ("int f(int, int b)", "no parameter with a type and a name"),
    ],
)
def test_declarations_that_cannot_be(declaration, message):
    with pytest.raises(DeclarationError, match=message):
        provides(declaration)(lambda self: None)


def test_nothing_has_no_error_value():
    with pytest.raises(DeclarationError, match="has no error values"):
        provides("void f(void)", error=1)(lambda self: None)


@pytest.mark.parametrize(
    ("declaration", "values"),
    [
        ("int f(void)", {"error": 1.5}),
        ("int f(void)", {"error": 1 << 40}),
        ("uint8_t f(void)", {"error": -1}),
        ("int f(void)", {"errors": {KeyError: 1 << 40}}),
        ("char *f(void)", {"error": "x"}),
        ("double f(void)", {"error": "x"}),
    ],
)
def test_error_values_that_cannot_be(declaration, values):
    with pytest.raises(DeclarationError, match="cannot answer"):
        provides(declaration, **values)(lambda self: None)


def test_a_subclass_may_have_another_version():
    class Next(Editor, version=3):
        pass

    class Both(Editor, versions=[5]):
        pass

    class Other(Editor, module="other"):
        pass

    assert (Next.module, Next.version, Next.versions) == ("editor", 3, {3})
    assert (Both.version, Both.versions) == (2, {2, 5})
    assert (Other.module, Other.version, Other.versions) == ("other", 1, {1})


def test_a_contract_has_a_module_and_each_name_once():
    with pytest.raises(DeclarationError, match="needs the name of the module"):

        class Nameless(Contract):
            pass

    with pytest.raises(DeclarationError, match="both provide f"):

        class Twice(Contract, module="twice"):
            @provides("int f(void)")
            def one(self):
                return 1

            @provides("int f(int a)")
            def two(self, a):
                return 1


def test_a_subclass_has_the_functions_of_its_base_and_its_own():
    class More(Editor):
        @provides("int more(void)")
        def more(self):
            return 1

    assert (More.module, More.version) == ("editor", 2)
    assert set(More.provided) - set(Editor.provided) == {"more"}


# -- the header ----------------------------------------------------------------------------------------------------


def test_the_header_says_what_the_contract_says():
    text = Editor.header()
    assert text.startswith("/* What an editor offers to its plug-ins.\n")
    assert "EDITOR_IMPORT(line) int line(int number, char *text, size_t capacity);" in text
    assert "EDITOR_IMPORT(move) struct mark *move(struct mark *at, int lines);" in text
    assert (
        "/* Copy a line to `text`, as much of it as there is room for: its length. `text` has capacity items." in text
    )
    assert "-1 when it fails." in text
    assert "struct mark { int line, column; };" in text
    assert 'Part of the feature "sound"; not every host offers it.' in text
    assert "EDITOR_EXPORT(plugin_run) int plugin_run(int what);" in text


@pytest.mark.skipif(shutil.which("cc") is None, reason="no native compiler")
@pytest.mark.parametrize("language", ["c", "c++"])
def test_the_header_compiles_natively_and_as_cpp(tmp_path, language):
    source = with_header('#include "editor.h"\nEDITOR_CONTRACT;\n#include "editor.h"\n')
    (tmp_path / "unit.c").write_text(source)
    command = ["cc", "-x", language, "-Wall", "-Wextra", "-Werror", "-c", "unit.c", "-o", "unit.o"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    if language == "c++" and "cc1plus" in done.stderr:
        pytest.skip("no C++ compiler")
    assert done.returncode == 0, done.stderr
