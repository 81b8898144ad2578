"""What the standard library says about itself: names, modules, defaults and keyword-only arguments, through `inspect`."""

from __future__ import annotations

import enum
import functools
import importlib
import inspect
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

_NAMES = """
json re os os.path pathlib subprocess shutil random math datetime collections itertools functools logging argparse csv
time string io glob tempfile heapq bisect statistics textwrap operator copy pprint enum dataclasses contextlib threading
queue asyncio socket ssl hashlib hmac secrets base64 binascii struct pickle shelve sqlite3 zlib gzip bz2 lzma zipfile
tarfile configparser urllib.parse urllib.request http.client http.server http.cookies html xml.etree.ElementTree
xml.dom.minidom xml.sax smtplib ftplib imaplib poplib email.utils mailbox mimetypes ipaddress socketserver
xmlrpc.client xmlrpc.server uuid decimal fractions calendar locale gettext codecs unicodedata difflib fnmatch filecmp
fileinput linecache shlex getpass getopt cmd code codeop pdb bdb profile pstats timeit trace traceback warnings weakref
inspect ast dis tokenize keyword symtable compileall py_compile zipapp runpy pkgutil importlib.util unittest
unittest.mock doctest types typing concurrent.futures multiprocessing selectors signal sched platform sysconfig stat
reprlib colorsys wave graphlib zoneinfo plistlib netrc webbrowser wsgiref.util wsgiref.simple_server logging.handlers
pickletools quopri stringprep tabnanny site ctypes array numbers copyreg
"""
MODULES: tuple[str, ...] = tuple(_NAMES.split())
"""Best known first: facts are taken round-robin in this order. All of them are in Python 3.11 and later, on every platform."""

ALSO_KNOWN = frozenset({"builtins", "logging.config", "marshal", "multiprocessing.connection", "tomllib", "xml", "xml.dom",
                        "xml.etree", "email", "importlib", "concurrent", "xmlrpc", "urllib", "wsgiref"})
"""Modules that answers may name and that no fact is taken from."""

PLAIN = (type(None), bool, int, float, str)
LONGEST_VALUE = 12
"""Characters of a default value's repr that a short answer can carry."""


@dataclass(frozen=True, slots=True)
class Callable:
    """A public function or class of the standard library, with what its signature says."""

    module: str
    name: str
    defaults: dict[str, str]
    """Parameter -> repr of its default, for plain short values."""
    keyword_only: tuple[str, ...]
    positional: tuple[str, ...]
    """Parameters that can be passed by position and by keyword."""
    takes_any_keyword: bool
    """It has `**kwargs`, so no keyword can be said not to exist."""

    @property
    def path(self) -> str:
        """The dotted name that people write."""
        return f"{self.module}.{self.name}"


@functools.cache
def callables() -> tuple[Callable, ...]:
    """Every public callable of MODULES whose signature can be read, in the order of MODULES and then by name."""
    return tuple(found for module in MODULES for found in _callables_of(module))


def _callables_of(module_name: str) -> Iterator[Callable]:
    module = _module(module_name)
    for name in _public_names(module) if module else ():
        value = getattr(module, name)
        if not _is_callable(value):
            continue
        try:
            parameters = inspect.signature(value).parameters.values()
        except (ValueError, TypeError):
            continue
        yield _describe(module_name, name, list(parameters))


def _describe(module: str, name: str, parameters: list[inspect.Parameter]) -> Callable:
    # A leading underscore says "not for you"; C functions use it for positional-only parameters as well.
    named = [p for p in parameters if not p.name.startswith("_")]
    return Callable(
        module=module,
        name=name,
        defaults={p.name: repr(p.default) for p in named if _is_plain(p.default)},
        keyword_only=tuple(p.name for p in named if p.kind is p.KEYWORD_ONLY),
        positional=tuple(p.name for p in named if p.kind is p.POSITIONAL_OR_KEYWORD),
        takes_any_keyword=any(p.kind is p.VAR_KEYWORD for p in parameters),
    )


def _is_plain(value: Any) -> bool:
    text = repr(value)
    return type(value) in PLAIN and len(text) <= LONGEST_VALUE and text.isprintable() and "\\" not in text and "`" not in text


@functools.cache
def modules_of() -> dict[str, frozenset[str]]:
    """Public name of a function or class -> every module of MODULES that offers it."""
    found: dict[str, set[str]] = {}
    for module_name in MODULES:
        module = _module(module_name)
        for name in _public_names(module) if module else ():
            value = getattr(module, name)
            if _is_callable(value):
                found.setdefault(name, set()).add(module_name)
    return {name: frozenset(modules) for name, modules in found.items()}


def _is_callable(value: Any) -> bool:
    """A function or class that people call: exceptions are raised, and the signatures of enumerations mean nothing."""
    return inspect.isroutine(value) or (inspect.isclass(value) and not issubclass(value, BaseException | enum.Enum))


def _public_names(module: ModuleType) -> list[str]:
    """What `__all__` lists, or else what was defined there and not merely imported."""
    own = {module.__name__, f"_{module.__name__}"}
    names = getattr(module, "__all__", None)
    if names is None:
        names = [name for name, value in vars(module).items() if getattr(value, "__module__", None) in own]
    return sorted({name for name in names if not name.startswith("_") and hasattr(module, name)})


def resolves(path: str) -> bool:
    """True when a dotted name, such as `json.dumps` or a builtin, exists in this Python."""
    *parents, last = path.split(".")
    if not parents:
        return hasattr(_module("builtins"), last) or last in sys.stdlib_module_names
    # The longest module first: `os.path.join` is in `os.path`, not an attribute chain of `os`.
    for split in range(len(parents), 0, -1):
        value: Any = _module(".".join(parents[:split]))
        if value is not None:
            return functools.reduce(lambda inner, name: getattr(inner, name, None), [*parents[split:], last], value) is not None
    return False


@functools.cache
def _module(name: str) -> ModuleType | None:
    # Only these: an answer may name anything, and importing `antigravity` opens a browser.
    if name not in ALSO_KNOWN and name not in MODULES:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return importlib.import_module(name)
        except ImportError:
            return None
