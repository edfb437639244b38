"""SQLite's multi-process tester, mptest, whose processes are native or wasqlite.

``python client.py DATABASE SCRIPT --modules wasqlite,sqlite3 [--journal MODE]`` is the master: it runs the script, and
starts a process of this program for each client that the script gives a task, with the modules in turn. They talk
through tables of the shared database, as mptest.c does, and count the same tests. Functions that its scripts call,
eval() and vfsname(), are replaced by their values before a statement runs. ``vfsname()`` is "unix": the parts for it
assume native's locks.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from script import after_endif, find_end, glob, is_command, statements, term, token

BUSY = 5
# Seconds. mptest waits 10 for a lock; its limits for a whole task are for faster machines than shared ones.
LOCK_TIMEOUT = 10.0
PATIENCE = 6
IDLE_LIMIT = 120.0
NOW = "strftime('%Y-%m-%d %H:%M:%f','now')"
TABLES = """
DROP TABLE IF EXISTS task; DROP TABLE IF EXISTS counters; DROP TABLE IF EXISTS client;
CREATE TABLE task(id INTEGER PRIMARY KEY, name TEXT, client INTEGER, starttime DATE, endtime DATE, script TEXT);
CREATE INDEX task_i1 ON task(client, starttime);
CREATE INDEX task_i2 ON task(client, endtime);
CREATE TABLE counters(nError, nTest);
INSERT INTO counters VALUES(0, 0);
CREATE TABLE client(id INTEGER PRIMARY KEY, wantHalt);
"""


class Process:
    """One process: the master is number 0."""

    def __init__(self, path: str, number: int, modules: list[str], journal: str | None) -> None:
        self.path, self.number, self.modules = path, number, modules
        self.name = modules[number % len(modules)]
        self.module: Any = importlib.import_module(self.name)
        self.con = self.module.connect(path, timeout=LOCK_TIMEOUT, isolation_level=None)
        self.con.text_factory = lambda data: data.decode(errors="replace")
        if journal:
            self.con.execute(f"PRAGMA journal_mode = {journal}").fetchall()
        self.con.execute("PRAGMA synchronous = OFF")
        self.errors = self.tests = 0
        self.results: list[str] = []
        self.children: list[subprocess.Popen[bytes]] = []

    def say(self, text: str) -> None:
        """A line in the log."""
        os.write(1, f"{self.name} client {self.number}: {text}\n".encode())

    def error(self, text: str) -> None:
        """A line in the log that counts."""
        self.errors += 1
        self.say(f"ERROR: {text}")

    def rows(self, sql: str, *parameters: object) -> list[Any]:
        """The rows of one statement of this program; a lock that lasts is waited for."""
        for attempt in range(PATIENCE):
            try:
                return self.con.execute(sql, parameters).fetchall()  # type: ignore[no-any-return]
            except self.module.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != BUSY or attempt + 1 == PATIENCE or self.con.in_transaction:
                    raise
        raise AssertionError

    def evaluate(self, sql: str) -> bool:
        """Run SQL of the script and collect its result; whether it worked."""
        sql = re.sub(r"\beval\('((?:[^']|'')*)'\)", self._inner, sql.replace("vfsname()", "'unix'"))
        for statement in statements(sql):
            try:
                for row in self.con.execute(statement).fetchall():
                    self.results += map(term, row)
            except self.module.Error as error:
                self.results += [f"error({getattr(error, 'sqlite_errorcode', 1) & 0xFF})", term(str(error))]
                return False
        return True

    def _inner(self, found: re.Match[str]) -> str:
        rows = self.con.execute(found[1].replace("''", "'")).fetchall()
        return "'" + " ".join(term(value) for row in rows for value in row).replace("'", "''") + "'"

    def run(self, text: str, name: str, task: int = 0, folder: Path | None = None) -> None:
        """Run a script."""
        self.results, at, begin = [], 0, 0
        while at < len(text):
            size = token(text, at)
            if not is_command(text, at):
                at += size
                continue
            self.evaluate(text[begin:at])
            line = text[at : at + size]
            where = f"line {text.count(chr(10), 0, at) + 1} of {name}"
            at = begin = self.command(text, at + size, line, where, task, folder)
        if not self.evaluate(text[begin:]):
            self.error(f"{name}: {' '.join(self.results)}")

    def command(self, text: str, after: int, line: str, where: str, task: int, folder: Path | None) -> int:
        """Do a ``--command``; where the script goes on."""
        word, _, rest = line[2:].strip().partition(" ")
        rest = rest.strip()
        words = rest.split()
        if word == "sleep":
            time.sleep(int(words[0]) / 1000)
        elif word == "exit":
            self.finish(task, shutdown=True)
            code = int(words[0]) if words else 0
            if code == 0:
                self.con.close()
            os._exit(code)  # with a transaction open: a crash
        elif word == "finish" and self.number:
            self.finish(task, shutdown=True)
        elif word in ("reset", "testcase"):
            self.results = []
        elif word in ("match", "glob", "notglob"):
            self.expect(word, rest, where)
        elif word == "output":
            self.say(" ".join(self.results))
        elif word == "source":
            source = (folder or Path()) / words[0]
            self.run(source.read_text(), source.name, 0, source.parent)
        elif word == "print":
            self.say(rest)
        elif word == "if":
            condition = rest.replace("vfsname()", "'unix'")
            rows = self.rows(f"SELECT CAST(({condition}) AS INTEGER)")
            return after if rows and rows[0][0] else after_endif(text, after, True)
        elif word == "else":
            return after_endif(text, after, False)
        elif word == "task" and self.number == 0:
            end = find_end(text, after)
            self.give(int(words[0]), text[after:end], words[1] if len(words) > 1 else where)
            return end + (token(text, end) if end < len(text) else 0)
        elif word == "start" and self.number == 0:
            self.start(int(words[0]))
        elif word == "wait" and self.number == 0:
            client = 0 if words[0] == "all" else int(words[0])
            self.wait(client, int(words[1]) / 1000 if len(words) > 1 else 10.0, where)
        elif word not in ("endif", "breakpoint", "show-sql-errors"):
            self.error(f"{where}: unknown command --{word}")
        return after

    def expect(self, word: str, answer: str, where: str) -> None:
        """Compare the collected result."""
        got = " ".join(self.results)
        right = got == answer if word == "match" else glob(answer, got) == (word == "glob")
        if not right:
            self.error(f"{where}: expected --{word} [{answer}], got [{got[:500]}]")
        self.tests += 1
        self.results = []

    def give(self, client: int, task: str, name: str) -> None:
        """A task for a client, which is started if it does not run."""
        self.start(client)
        self.rows("INSERT INTO task(client, script, name) VALUES(?, ?, ?)", client, task, name)

    def start(self, client: int) -> None:
        """Start the process of a client."""
        changes = self.con.total_changes
        self.rows("INSERT OR IGNORE INTO client VALUES(?, 0)", client)
        if self.con.total_changes > changes:
            words = [self.path, "--modules", ",".join(self.modules), "--client", str(client)]
            self.children.append(subprocess.Popen([sys.executable, __file__, *words]))

    def wait(self, client: int, seconds: float, where: str) -> None:
        """Until a client, or all of them (0), have done their tasks."""
        sql = "SELECT 1 FROM task WHERE client IN (SELECT id FROM client) AND endtime IS NULL"
        if client:
            sql += f" AND client = {client}"
        limit = time.monotonic() + seconds * PATIENCE
        while self.rows(sql + " LIMIT 1"):
            if time.monotonic() > limit:
                self.error(f"{where}: timeout waiting for {f'client {client}' if client else 'all clients'}")
                return
            time.sleep(0.05)

    def finish(self, task: int, shutdown: bool) -> None:
        """The task has ended, and with ``shutdown`` the client too."""
        self.rows(f"UPDATE task SET endtime = {NOW} WHERE id = ?", task)
        if shutdown:
            self.rows("DELETE FROM client WHERE id = ?", self.number)

    def next_task(self) -> tuple[int, str, str] | None:
        """Number, script and name of the next task; None to halt."""
        limit = time.monotonic() + IDLE_LIMIT
        while time.monotonic() < limit:
            self.rows("BEGIN IMMEDIATE")
            if self.errors or self.tests:
                self.rows("UPDATE counters SET nError = nError + ?, nTest = nTest + ?", self.errors, self.tests)
                self.errors = self.tests = 0
            halted = self.rows("SELECT 1 FROM client WHERE id = ? AND wantHalt", self.number)
            if halted:
                self.rows("DELETE FROM client WHERE id = ?", self.number)
            found = self.rows(
                "SELECT id, script, name FROM task WHERE client = ? AND starttime IS NULL ORDER BY id LIMIT 1",
                self.number,
            )
            if found and not halted:
                self.rows(f"UPDATE task SET starttime = {NOW} WHERE id = ?", found[0][0])
            self.commit()
            if halted:
                return None
            if found:
                return found[0]  # type: ignore[no-any-return]
            time.sleep(0.1)
        raise TimeoutError("waited for work for too long")

    def commit(self) -> None:
        """COMMIT, again while readers are in the way."""
        for attempt in range(PATIENCE):
            try:
                self.con.execute("COMMIT")
                return
            except self.module.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != BUSY or attempt + 1 == PATIENCE:
                    raise

    def serve(self) -> None:
        """A client's life."""
        while task := self.next_task():
            self.run(task[1], task[2], task[0])
            self.finish(task[0], shutdown=False)
            time.sleep(0.01)

    def direct(self, script: Path) -> None:
        """The master's life."""
        self.con.executescript(TABLES)
        self.run(script.read_text(), script.name, 0, script.parent)
        self.wait(0, 10.0, "at the end")
        self.rows("UPDATE client SET wantHalt = 1")
        for child in self.children:
            try:
                code = child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                code = -9
            if code not in (0, 1):  # 1: as the script wanted, by --exit 1
                self.error(f"a client ended with {code}")
        # Tasks end early with --finish, and then by --exit; any other task that has no end was lost.
        for name, client in self.rows("SELECT name, client FROM task WHERE endtime IS NULL"):
            self.error(f"{name} of client {client} never ended")
        errors, tests = self.rows("SELECT nError, nTest FROM counters")[0]
        self.errors, self.tests = self.errors + errors, self.tests + tests
        integrity = self.rows("PRAGMA integrity_check")
        if [tuple(row) for row in integrity] != [("ok",)]:
            self.error(f"integrity_check: {integrity[:3]}")


def main() -> None:
    """The master, or a client."""
    parser = argparse.ArgumentParser(description="Run a script of SQLite's mptest.")
    parser.add_argument("database")
    parser.add_argument("script", nargs="?")
    parser.add_argument("--modules", default="wasqlite,sqlite3")
    parser.add_argument("--journal")
    parser.add_argument("--client", type=int, default=0)
    arguments = parser.parse_args()
    process = Process(arguments.database, arguments.client, arguments.modules.split(","), arguments.journal)
    if arguments.client:
        try:
            process.serve()
        except Exception as error:
            process.say(f"ERROR: {type(error).__name__}: {error}")
            os._exit(2)
        process.con.close()
        return
    process.direct(Path(arguments.script))
    process.con.close()
    print(f"Summary: {process.errors} errors out of {process.tests} tests", flush=True)
    sys.exit(process.errors > 0)


if __name__ == "__main__":
    main()
