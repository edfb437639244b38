"""examples/expat beside the stdlib's pyexpat: the same events, errors and messages; and its wheel in an environment."""

from __future__ import annotations

import gc
import io
import itertools
import os
import pyexpat
import signal
import subprocess
import sys
import sysconfig
import venv
import weakref
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wasqlite.bridge import InstancePoisoned, Trap
from wasqlite.bridge.builder import build

pytest.importorskip("ziglang", reason="the dependency group `build` is not installed")
pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "expat"


@pytest.fixture(scope="module")
def wasexpat() -> Iterator[ModuleType]:
    build(EXAMPLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLE)
        import wasexpat

        yield wasexpat


# -- the same events ---------------------------------------------------------------------------------------------

DTD = b"""<?xml version='1.0' encoding='utf-8' standalone='no'?>
<!DOCTYPE a PUBLIC 'public' 'system' [
<!ELEMENT a (b|(c,d*)+)?><!ELEMENT b (#PCDATA|c)*><!ELEMENT c EMPTY><!ELEMENT d ANY>
<!ATTLIST a x CDATA 'default' y ID #IMPLIED z (one|two) #REQUIRED w CDATA #FIXED 'f'>
<!NOTATION n SYSTEM 'notation'><!ENTITY picture SYSTEM 'p.png' NDATA n>
<!ENTITY text 'some <b>markup</b> &#233;'><!ENTITY % parameter 'value'><!ENTITY other SYSTEM 'other.xml'>
%unknown;]>
<?target some data?><!-- comment -->
<a y='i1' z="one">&text;<![CDATA[<raw> & ]]>&other;&skipped; tail</a><?last?>
"""
DOCUMENTS = {
    "dtd": DTD,
    "empty": b"",
    "small": b"<a/>",
    "namespaces": b"<p:a xmlns:p='urn:p' xmlns='urn:d'><b p:x='1' x='2'/><c xmlns=''/></p:a>",
    "text": b"<a>one\ntwo &lt; three\r\nfour" + b"long " * 5000 + "größer \U0001f600".encode() + b"</a>",
    "attributes": b"<a " + b" ".join(b"a%d='%s'" % (i, b"v" * i) for i in range(500)) + b"/>",
    "latin": "<?xml version='1.0' encoding='iso-8859-1'?><a>é</a>".encode("latin-1"),
    "koi8": "<?xml version='1.0' encoding='koi8-r'?><a>Привет</a>".encode("koi8-r"),
    "utf16": "<?xml version='1.0'?><a b='é'>é</a>".encode("utf-16"),
    "unknown encoding": b"<?xml version='1.0' encoding='none-such'?><a/>",
    "multi-byte encoding": b"<?xml version='1.0' encoding='utf-7'?><a/>",
    "mismatch": b"<a>\n <b>\n </c></a>",
    "unclosed": b"<a><b>text",
    "junk": b"<a/>junk",
    "bad character": b"<a>\x01</a>",
    "bad utf-8": b"<a>\xff\xfe</a>",
    "entity": b"<a>&none;</a>",
    "recursion": b"<!DOCTYPE a [<!ENTITY e '&f;'><!ENTITY f '&e;'>]><a>&e;</a>",
    "amplification": b"<!DOCTYPE a [<!ENTITY a0 '" + b"x" * 10000 + b"'>"
    + b"".join(b"<!ENTITY a%d '%s'>" % (i + 1, b"&a%d;" % i * 10) for i in range(6)) + b"]><a>&a6;</a>",
}  # fmt: skip
HANDLERS = [name for name in dir(pyexpat.XMLParserType) if "Handler" in name]
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "namespaces": {"namespace_separator": "!"},
    "collected": {"buffer_text": True, "buffer_size": 100},
    "triplets": {"namespace_separator": " ", "namespace_prefixes": True, "ordered_attributes": True},
    "specified": {"specified_attributes": True, "encoding": "utf-8"},
}


def events(
    expat: ModuleType, data: bytes, chunk: int, settings: dict[str, Any], handlers: list[str], raises: int = -1
) -> list[Any]:
    """All that handlers are told, where, and how it ends. The handler of event number ``raises`` raises."""
    creation = {name: value for name, value in settings.items() if name in ("namespace_separator", "encoding")}
    parser = expat.ParserCreate(**creation)
    for name, value in settings.items():
        if name not in creation:
            setattr(parser, name, value)
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_ALWAYS)
    parser.SetBase("http://base/")
    seen: list[Any] = []

    def handle(parser: Any, name: str) -> Callable[..., Any]:
        def handler(*arguments: Any) -> Any:
            place = parser.CurrentLineNumber, parser.CurrentColumnNumber, parser.CurrentByteIndex
            context = parser.GetInputContext()
            seen.append((name, arguments, place, context and context[:30]))
            if len(seen) == raises:
                raise KeyError(raises)
            if name == "ExternalEntityRefHandler" and arguments[0] is not None:
                other = parser.ExternalEntityParserCreate(arguments[0])
                other.CommentHandler = handle(other, "inner comment")
                other.Parse(b"<!-- inside --><inner a='1'>inner</inner>", True)
            return 1

        return handler

    for name in handlers:
        setattr(parser, name, handle(parser, name))
    try:
        for start in range(0, len(data), chunk):
            seen.append(parser.Parse(data[start : start + chunk], False))
        seen.append(parser.Parse(b"", True))
    except Exception as error:
        name = type(error).__name__
        seen.append((name, str(error), {key: getattr(error, key, None) for key in ("code", "lineno", "offset")}))
    seen.append((parser.ErrorCode, parser.ErrorLineNumber, parser.ErrorColumnNumber, parser.ErrorByteIndex))
    seen.append((sorted(map(str, parser.intern)), parser.GetBase(), parser.buffer_used))
    seen.append([getattr(parser, name) is not None for name in HANDLERS])
    return seen


@pytest.fixture
def same_expat(wasexpat: ModuleType) -> None:
    if pyexpat.version_info != wasexpat.version_info:
        pytest.skip(f"the stdlib's is {pyexpat.EXPAT_VERSION}, this one is {wasexpat.EXPAT_VERSION}")


@pytest.mark.usefixtures("same_expat")
@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("settings", SETTINGS)
def test_all_events_are_the_same(wasexpat: ModuleType, document: str, settings: str) -> None:
    data = DOCUMENTS[document]
    for handlers in (HANDLERS, [name for name in HANDLERS if "Default" not in name], ["StartElementHandler"], []):
        for chunk in (1 << 20, 7):
            if chunk == 7 and len(data) > 5000:
                continue
            arguments = data, chunk, SETTINGS[settings], handlers
            assert events(wasexpat, *arguments) == events(pyexpat, *arguments)


@pytest.mark.usefixtures("same_expat")
def test_an_exception_in_any_handler_ends_the_same(wasexpat: ModuleType) -> None:
    count = len(events(pyexpat, DTD, 1 << 20, {}, HANDLERS))
    assert count > 40
    for number in range(1, count):
        for settings in ({}, {"buffer_text": True}):
            arguments = DTD, 1 << 20, settings, HANDLERS, number
            assert events(wasexpat, *arguments) == events(pyexpat, *arguments)


# -- the same answers --------------------------------------------------------------------------------------------


class _Reads:
    def __init__(self, answer: Any) -> None:
        self.read = lambda size: answer * (size + 1) if answer else answer


def _set(name: str, value: Any) -> Callable[[Any], Any]:
    return lambda expat: setattr(expat.ParserCreate(), name, value)


ANSWERS: dict[str, Callable[[Any], Any]] = {
    "encoding": lambda e: e.ParserCreate(3),
    "separator": lambda e: e.ParserCreate(namespace_separator="ab"),
    "intern": lambda e: e.ParserCreate(intern=[]),
    "no intern": lambda e: (p := e.ParserCreate(intern=None)).Parse(b"<a b='c'/>", True) and p.intern,
    "nul": lambda e: e.ParserCreate("a\0"),
    "instances": lambda e: e.XMLParserType(),
    "parse a number": lambda e: e.ParserCreate().Parse(3),
    "parse text": lambda e: e.ParserCreate().Parse("<a>é</a>", True),
    "parse surrogates": lambda e: e.ParserCreate().Parse("<a>\ud800</a>", True),
    "parse a bytearray": lambda e: e.ParserCreate().Parse(bytearray(b"<a/>"), True),
    "no file": lambda e: e.ParserCreate().ParseFile(3),
    "file of text": lambda e: e.ParserCreate().ParseFile(io.StringIO("<a/>")),
    "file": lambda e: e.ParserCreate().ParseFile(io.BytesIO(b"<a>" + b"x" * 9999 + b"</a>")),
    "file that reads too much": lambda e: e.ParserCreate().ParseFile(_Reads(b"x")),
    "base": lambda e: e.ParserCreate().SetBase(3),
    "no base": lambda e: e.ParserCreate().GetBase(),
    "no context": lambda e: e.ParserCreate().GetInputContext(),
    "buffer size": _set("buffer_size", 0),
    "large buffer size": _set("buffer_size", 1 << 31),
    "buffer size of another type": _set("buffer_size", 1.5),
    "delete a handler": lambda e: delattr(e.ParserCreate(), "CommentHandler"),
    "foreign DTD too late": lambda e: [p := e.ParserCreate(), p.Parse(b"<a>"), p.UseForeignDTD(True)],
    "parameter entities": lambda e: e.ParserCreate().SetParamEntityParsing(9),
    "message": lambda e: (e.ErrorString(3), e.ErrorString(0), e.ErrorString(1000), e.ErrorString(-1)),
    "messages": lambda e: (e.errors.codes, e.errors.messages, e.errors.XML_ERROR_SYNTAX),
    "model": lambda e: {name: value for name, value in vars(e.model).items() if name.startswith("XML_")},
    "features": lambda e: e.features,
    "versions": lambda e: (e.EXPAT_VERSION, e.version_info, e.native_encoding),
    "error": lambda e: (e.error is e.ExpatError, e.ExpatError.__module__, e.ExpatError.__mro__[1:]),
    "parse after the end": lambda e: [p := e.ParserCreate(), p.Parse(b"<a/>", True), p.Parse(b"", True)][1:],
}


@pytest.mark.usefixtures("same_expat")
@pytest.mark.parametrize("name", ANSWERS)
def test_answers_and_refusals_are_the_same(wasexpat: ModuleType, name: str) -> None:
    def answer(expat: ModuleType) -> Any:
        try:
            return ANSWERS[name](expat)
        except Exception as error:
            return type(error).__name__, str(error)

    assert answer(wasexpat) == answer(pyexpat)


def test_it_has_all_names_of_the_stdlib(wasexpat: ModuleType) -> None:
    missing = {name for name in dir(pyexpat) if not name.startswith("_")} - set(dir(wasexpat))
    assert missing == {"expat_CAPI"}
    assert set(dir(pyexpat.XMLParserType)) <= set(dir(wasexpat.XMLParserType))


# -- the sandbox -------------------------------------------------------------------------------------------------


def test_parsers_go_when_nobody_has_them(wasexpat: ModuleType) -> None:
    gone: list[weakref.ref[Any]] = []
    for _ in range(40):
        parser = wasexpat.ParserCreate()
        parser.StartElementHandler = lambda name, attributes: None
        parser.ExternalEntityRefHandler = lambda context, *_: None
        parser.Parse(b"<a>", False)
        gone.append(weakref.ref(parser))
        gone.append(weakref.ref(parser.ExternalEntityParserCreate(None)))
    del parser
    assert not [ref for ref in gone if ref() is not None]  # at once: they are in no cycles
    for _ in range(40):
        parser = wasexpat.ParserCreate()
        parser.CommentHandler = lambda data, parser=parser: None
        gone.append(weakref.ref(parser))
    del parser
    gc.collect()
    assert not [ref for ref in gone if ref() is not None]


def test_a_parser_begins_with_a_sandbox_that_is_as_new(wasexpat: ModuleType) -> None:
    secret = b"<a secret='from the document before'>" + b"x" * 4000
    parser = wasexpat.ParserCreate()
    parser.Parse(secret, False)
    guest = parser._guest
    assert bytes(guest.memory.view).count(b"from the document before") > 0
    del parser
    parser = wasexpat.ParserCreate()
    assert parser._guest is guest
    assert bytes(guest.memory.view).count(b"from the document before") == 0
    assert parser.Parse(b"<b/>", True) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # those that strike in a finaliser
@pytest.mark.parametrize("external", [False, True])
def test_a_signal_while_a_parser_is_made_costs_no_other_its_sandbox(wasexpat: ModuleType, external: bool) -> None:
    # A profiler's function stands for the signal: it strikes at each place in turn where one could, where
    # functions begin and when those in C have returned.
    def strike(frame: Any, event: str, argument: Any) -> None:
        nonlocal left
        left -= event in ("call", "c_return") and Path(frame.f_code.co_filename).parent.name == "wasexpat"
        if left == 0:
            sys.setprofile(None)
            raise KeyboardInterrupt

    def make() -> Any:
        parser = wasexpat.ParserCreate()
        parser.StartElementHandler = lambda *event: names.append(event[0])
        return parser

    wasexpat._guest._idle.clear()
    names: list[str] = []
    kept = [make() for _ in range(2)]
    for place in itertools.count(1):
        left = place
        sys.setprofile(strike)
        try:
            kept[0].ExternalEntityParserCreate("context") if external else make()
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        there = [*wasexpat._guest._idle, *(parser._guest for parser in kept)]
        assert len(set(map(id, there))) == len(there)
        if left > 0:
            break
    assert place > 20
    for parser in kept:
        parser.Parse(b"<a><b/></a>", True)
    assert names == ["a", "b"] * 2


def test_parsers_of_many_sandboxes_take_turns(wasexpat: ModuleType) -> None:
    names: list[str] = []
    parsers = [wasexpat.ParserCreate() for _ in range(50)]
    for number, parser in enumerate(parsers):
        parser.StartElementHandler = lambda name, _, number=number: names.append(f"{name}{number}")
    for piece in (b"<a>", b"<b>"):
        for parser in parsers:
            parser.Parse(piece, False)
    assert names == [f"{name}{number}" for name in "ab" for number in range(50)]


def test_an_overwritten_parser_ends_with_an_exception_and_harms_no_other(wasexpat: ModuleType) -> None:
    other, victim = wasexpat.ParserCreate(), wasexpat.ParserCreate()
    other.Parse(b"<a>")
    victim.Parse(b"<a>")
    guest = victim._guest
    guest.memory.write(int(victim._expat), b"\xff" * 600)  # what an error in Expat could do
    with pytest.raises(Trap, match=r"expat\.wasm"):
        victim.Parse(b"<b/>")
    with pytest.raises(InstancePoisoned):
        victim.Parse(b"<b/>")
    del victim
    assert other.Parse(b"</a>", True) == 1
    fresh = wasexpat.ParserCreate()
    assert fresh._guest is not guest
    assert fresh.Parse(b"<a/>", True) == 1


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
def test_a_signal_handler_s_exception_comes_out_of_parse(wasexpat: ModuleType) -> None:
    class Stop(BaseException):
        pass

    def strike(number: int, frame: object) -> None:
        raise Stop

    document = b"<a>" + b"<b c='1'>text</b>" * 60_000 + b"</a>"
    previous = signal.signal(signal.SIGALRM, strike)
    try:
        for round in range(40):
            parser = wasexpat.ParserCreate()
            seen: list[str] = []
            if round % 2:
                parser.StartElementHandler = lambda name, _, seen=seen: seen.append(name)
                parser.CharacterDataHandler = seen.append
            with pytest.raises(Stop):
                signal.setitimer(signal.ITIMER_REAL, 0.001 + round / 10_000)
                while True:
                    parser.Parse(document, False)
                    parser = wasexpat.ParserCreate()
            assert parser._guest.served == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert events(wasexpat, DTD, 1 << 20, {}, HANDLERS) == events(wasexpat, DTD, 7 << 20, {}, HANDLERS)


# -- the wheel ---------------------------------------------------------------------------------------------------

DEMO = """
import wasexpat
seen = []
parser = wasexpat.ParserCreate()
parser.StartElementHandler = lambda name, attributes: seen.append((name, attributes))
parser.Parse("<a b='1'><c/></a>", True)
print(wasexpat.__file__, seen)
"""


def test_its_wheel_parses_in_an_environment_of_its_own(tmp_path: Path) -> None:
    options = ["--no-build-isolation", "--no-deps", "--disable-pip-version-check", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", *options, str(EXAMPLE)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == "wasexpat-0.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert {"wasexpat/expat.wasm", "wasexpat/expat.types.json", "wasexpat/_parser.py"} <= set(names)
        assert not [name for name in names if name.endswith((".c", ".h"))]
    environment = tmp_path / "venv"
    venv.create(environment, symlinks=os.name == "posix", with_pip=False)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True)
    # wasqlite comes from here, so that no network is needed.
    (site,) = environment.glob("lib/python*/site-packages")
    source = Path(__file__).resolve().parents[2] / "src"
    (site / "dependencies.pth").write_text(f"{source}\n{sysconfig.get_path('purelib')}\n")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([python, "-c", DEMO], cwd=tmp_path, env=clean, stdout=subprocess.PIPE, text=True, check=True)
    location, _, seen = done.stdout.strip().partition(" ")
    assert Path(location).is_relative_to(environment)
    assert seen == "[('a', {'b': '1'}), ('c', {})]"
