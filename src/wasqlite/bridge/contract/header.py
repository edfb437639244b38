"""The C header of a contract."""

from __future__ import annotations

import textwrap

from wasqlite.bridge.contract.declaration import Declaration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wasqlite.bridge.contract.contract import Contract
    from wasqlite.bridge.contract.provided import Provided

_BEGIN = """\
/* {summary}
 *
 * Generated from the contract "{module}", version {version}: do not edit.
 * One source file of the guest says {upper}_CONTRACT; */

#ifndef {upper}_CONTRACT
#define {upper}_VERSION {version}

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#ifdef __wasm__
#define {upper}_IMPORT(name) __attribute__((import_module("{module}"), import_name(#name)))
#define {upper}_EXPORT(name) __attribute__((export_name(#name)))
#else
#define {upper}_IMPORT(name)
#define {upper}_EXPORT(name)
#endif

/* The marker by which the host knows what the guest was built against. */
{upper}_EXPORT({module}_abi_{version}) void {module}_abi_{version}(void);
#define {upper}_CONTRACT void {module}_abi_{version}(void) {{}} extern int {module}_contract_is_there
"""
_END = """
#ifdef __cplusplus
}}
#endif

#endif /* {upper}_CONTRACT */
"""


def header(contract: type[Contract]) -> str:
    """The text of the header."""
    summary = " ".join((contract.__doc__ or contract.__name__).split())
    names = {
        "module": contract.module,
        "upper": contract.module.upper(),
        "version": contract.version,
        "summary": textwrap.fill(_plain(summary), 110, subsequent_indent=" * "),
    }
    parts = [_BEGIN.format(**names)]
    if contract.types:
        parts.append("\n" + textwrap.dedent(contract.types).strip() + "\n")
    parts += [_function(names["upper"], found) for found in contract.provided.values()]
    if contract.exports:
        parts.append("\n/* What the guest has to have. */\n")
        for text in contract.exports:
            declaration = Declaration(text)
            parts.append(f"{names['upper']}_EXPORT({declaration.name}) {declaration.prototype()}\n")
    return "".join(parts) + _END.format(**names)


def _function(upper: object, found: Provided) -> str:
    declaration = found.declaration
    lines = [_plain(found.doc)] if found.doc else []
    lines += [f"`{param.name}` has {param.length} items." for param in declaration.params if param.length is not None]
    if found.error is not None:
        lines.append(f"{found.error} when it fails.")
    if found.feature is not None:
        lines.append(f'Part of the feature "{found.feature}"; not every host offers it.')
    comment = (
        textwrap.fill(" ".join(lines), 116, initial_indent="/* ", subsequent_indent=" * ") + " */\n" if lines else ""
    )
    return f"\n{comment}{upper}_IMPORT({declaration.name}) {declaration.prototype()}\n"


def _plain(text: str) -> str:
    return text.replace("*/", "* /").replace("``", "`")
