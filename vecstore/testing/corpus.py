"""Strings that have broken databases, query languages, file systems and programs, and their near twins."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

_SQL = (
    "'", "''", "'''", '"', '""', "`", "\\", "\\'", "\\\\'", "';", "--", "-- ", "#", "/*", "*/", "/**/", ";",
    "' OR '1'='1", "' OR 1=1 --", '" OR ""="', "') OR ('a'='a", "1; DROP TABLE record", "'; DROP TABLE rows; --",
    "x'; DELETE FROM record WHERE 'a'='a", "' UNION SELECT sql FROM sqlite_master --", "1' AND SLEEP(5)#",
    "'; ATTACH DATABASE '/tmp/x' AS x; --", "'||(SELECT 1)||'", "admin'--", "E'\\x27'", "$$body$$", "$tag$x$tag$",
    "'; COPY t TO PROGRAM 'id'; --", "1)) OR ((1=1", "NULL", "null", "true", "TRUE", "false", "0", "1", "-1", "1.0",
    "1e309", "0x41", "CAST('a' AS int)", "a'b''c", "x' AS y", "X'53514C'", "'; PRAGMA writable_schema=1; --",
)  # fmt: skip
_PARAMETERS = (
    "?", "??", "?1", ":id", ":1", "::text", "@id", "$1", "$2", "$id", "$param", "$vec", "$BLOB", "${id}", "#{id}",
    "%s", "%(id)s", "%d", "%n%n%n%n", "%", "%%", "%x%p", "{}", "{0}", "{id}", "{{id}}", "{0.__class__.__mro__}",
    "{self.__init__.__globals__}", "f'{x}'", "!r", "{!r}", "<%= 7*7 %>", "{{7*7}}", "#{7*7}", "$(id)", "`id`",
    "| id", "; id", "&& id", "$HOME", "~", "%00", "%2e%2e%2f", "%u0000",
)  # fmt: skip
_REDISEARCH = (
    "*", "@lang:{en}", "@lang:{en|de}", "} | *", "x} | @lang:{*", "x}) | (@lang:{y", "{x}", "[0 10]", "[-inf +inf]",
    "(@year:[2020 2021])", "-@lang:{en}", "~word", "=>[KNN 10 @vector $vec]", "*=>[KNN 1 @v $b AS d]", "foo|bar",
    "foo,bar", ",", ",,", "a,", ",a", "a\\,b", "a;b", "a.b", "a-b", "a b", "a  b", "a:b", "a/b", "a@b.example",
    "a#b", "a\\ b", "prefix*", "*suffix", "*infix*", "w'pre*'", "%fuzzy%", "\"exact phrase\"", "isempty(@x)",
    "ismissing(@x)", "@__key:{x}", "doc:1", "vecstore:canary", "*5\r\n$3\r\nDEL\r\n", "\r\nFLUSHALL\r\n",
    "FT.DROPINDEX x DD",
)  # fmt: skip
_LUA = (
    "return redis.call('FLUSHALL')", "KEYS[1]", "ARGV[1]", "]]", "[[", "]]--[[", "--[[x]]", "\\n\\0\\27",
    "os.execute('id')", "'..os.date()..'",
)  # fmt: skip
_PATTERNS = (
    "_", "__", "a_b", "a%b", "%a%", "_%", "a*b", "a?b", "[a-z]", "[^a]", "[!a]", "[[]", "a\\_b", "a\\%b", ".*",
    ".+", "^a$", "(a+)+$", "(?i)a", "a|b", "\\d+", "\\", "\\\\", "\\u0041", "&amp;", "<b>a</b>",
    "<script>alert(1)</script>",
)  # fmt: skip
_JSON = (
    "$", "$.a", "$[0]", "$['a']", "$..*", "$.a.b", "a.b.c", "a[0]", "a->b", "a->>'b'", "{", "}", "[", "]", "[]",
    '{"a":1}', '"a"', '"', '\\"', '","x":"', '"}', '"],"x":["', "$eq", "$ne", "$or", "$and", "$not", "$where",
    "$all", '{"$gt": ""}', '{"$in": []}', "__proto__", "constructor", "__class__", "None", "nan", "NaN", "Infinity",
    "-Infinity", "undefined",
)  # fmt: skip
_PATHS = (
    ".", "..", "../", "../..", "../../etc/passwd", "/", "//", "/etc/passwd", "/dev/null", "./kb", "a/../b",
    "..\\..\\x", "C:\\x", "\\\\host\\share", "file:///etc/passwd", "kb/catalog.db", "catalog.db", "rows.db",
    "../catalog.db", ".hidden", "-rf", "--help", "CON", "nul", "a\nb/c", "....//", "..;/", "~root", "a//b", "a/",
    "/a", "g/../../x",
)  # fmt: skip
_BLANKS = (
    "", " ", "  ", "\t", "\n", "\r", "\r\n", "\v", "\f", " a", "a ", " a ", "\ta", "a\t", "a\n", "\na", "a\r\n",
    "a\u00a0", "\u00a0a", "\u2003a", "\u3000", "a\u200b", "\u200b", "\ufeff", "\ufeffa", "a\u2028b", "a\u2029b",
    "a\u0085b", "\x1c", "a\x1f",
)  # fmt: skip
_CONTROLS = (
    "\x01", "\x02", "\x07", "\x08", "\x1b[31mred", "\x7f", "\x80", "\x9f", "a\x01b", "\x1a", "\x04", "\x1e\x1d",
    "\x16",
)  # fmt: skip
_UNICODE = (
    "\u202eabc", "abc\u202d", "\u2066a\u2069", "\u200fa", "\u200ea", "a\u200db", "a\u200cb", "é", "e\u0301", "É",
    "E\u0301", "ﬁ", "fi", "Å", "A\u030a", "\u212b", "ß", "ss", "SS", "ẞ", "İ", "i", "I", "ı", "i\u0307", "ς", "σ",
    "Σ", "K", "\u212a", "k", "ǆ", "ǅ", "Ǆ", "가", "\u1100\u1161", "a\u0323\u0307", "a\u0307\u0323", "Ω", "\u2126",
    "①", "1\u20e3", "½", "\uff21", "ａ", "\u0391", "\u0410", "A", "a", "日本語", "العربية", "עברית", "ไทย", "हिन्दी",
    "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\u2764\ufe0f", "\u2764",
    "\ufffd", "\ufffe", "\uffff", "\ufdd0", "\ue000", "\U0010ffff", "\U0010fffe", "\U000e0041", "\u0301",
    "a\u0301\u0301\u0301", "\u2800", "\u115f", "\u3164", "\u00ad", "a\u00adb", "Z\u0351\u036b\u0343", "\ufb01x",
    "\u1e9b\u0323", "\ud7ff",
)  # fmt: skip
_LONG = (
    "a" * 511, "a" * 512, "b" * 513, "é" * 256, "é" * 257, "日" * 170 + "ab", "\U0001f600" * 128, "c" * 1023,
    "c" * 1024, "c" * 1025, "é" * 512, "é" * 513, "'" * 512, "\\" * 512, "%s" * 256, "{" * 512, "[" * 500,
    "(" * 500, ")" * 500, '"' * 512, "$" * 512, " " * 512, "x" * 4_095, "x" * 4_096, "x" * 4_097, "y" * 70_000,
    "日" * 30_000,
)  # fmt: skip
_NUL = ("\0", "a\0", "\0a", "a\0b", "canary\0", "a" * 512 + "\0", "'\0--", "\0\0")
_SURROGATES = ("\ud800", "\udfff", "a\ud800", "\udc80a", "\udcff", "a\udfffb", "\ud83d", "\ude00\ud83d", "\ud800" * 9)

KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sql": _SQL,
        "parameters": _PARAMETERS,
        "redisearch": _REDISEARCH,
        "lua": _LUA,
        "patterns": _PATTERNS,
        "json": _JSON,
        "paths": _PATHS,
        "blanks": _BLANKS,
        "controls": _CONTROLS,
        "unicode": _UNICODE,
        "long": _LONG,
        "nul": _NUL,
        "surrogates": _SURROGATES,
    }
)

STRINGS: tuple[str, ...] = tuple(dict.fromkeys(each for kind in KINDS.values() for each in kind))
"""All of them, each once: several hundred."""


def is_storable(value: str, low: int, high: int) -> bool:
    """Say whether the contract lets a string of ``low`` to ``high`` bytes be stored in a slot."""
    try:
        encoded = value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return b"\0" not in encoded and low <= len(encoded) <= high


def list_accepted(low: int, high: int) -> list[str]:
    """Return the strings that a slot of ``low`` to ``high`` bytes keeps."""
    return [value for value in STRINGS if is_storable(value, low, high)]


def list_refused(low: int, high: int) -> list[str]:
    """Return the strings that such a slot refuses."""
    return [value for value in STRINGS if not is_storable(value, low, high)]


def list_twins(value: str) -> list[str]:
    """Return strings that careless storage takes for the same one."""
    forms = [unicodedata.normalize(form, value) for form in ("NFC", "NFD", "NFKC", "NFKD")]
    cases = [value.lower(), value.upper(), value.casefold(), value.swapcase()]
    edges = [value + " ", " " + value, value.strip(), value + "x", value[:-1], value[1:], value + ",", value + "\n"]
    marks = [value.replace("\\", ""), value.replace("'", "''"), "\\" + value, f"'{value}'", f"{{{value}}}"]
    return [twin for twin in dict.fromkeys(forms + cases + edges + marks) if twin != value]


def list_decoys(values: list[str], low: int, high: int) -> list[str]:
    """Return twins of the values that a slot keeps and that are no values themselves: all of single characters."""
    found: dict[str, None] = {}
    for number, value in enumerate(values):
        kept = [twin for twin in list_twins(value) if is_storable(twin, low, high)]
        some = kept[number % len(kept) :][: 1 + len(value) % 2]
        found.update(dict.fromkeys(kept if len(value) == 1 else some))
    return [twin for twin in found if twin not in set(values)]
