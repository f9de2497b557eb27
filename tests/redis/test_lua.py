"""The Lua scripts, checked by a compiler and by the server."""

from __future__ import annotations

import subprocess
import sys

import pytest
import redis

from vecstore.backends.redis import scripts

from .lua import SCRIPTS, find_file_problems, find_problems, list_global_accesses


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_compiles_and_uses_no_undeclared_global(name: str) -> None:
    assert find_problems(SCRIPTS[name].text) == []


def test_the_files_follow_the_rules() -> None:
    assert list(find_file_problems()) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_server_computes_the_same_digest_of_a_script(name: str, admin: redis.Redis) -> None:
    script = SCRIPTS[name]
    assert admin.execute_command("SCRIPT LOAD", script.text) in {script.sha, script.sha.encode()}


def test_scripts_are_read_on_first_use() -> None:
    program = f"from {scripts.__name__} import WRITE; print(list(vars(WRITE)))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["['name',", "'writes']"]


@pytest.mark.parametrize(
    "text, problems",
    [
        ("local a = 1\nreturn a", []),
        ("local function f() x = 1 end\nreturn f()", ["undeclared global x: local function f() x = 1 end"]),
        ("local a = 1\nif a then\n  return b\nend", ["undeclared global b: return b"]),
        ("return tonumber(ARGV[1]) .. os.time()", ["undeclared global os: return tonumber(ARGV[1]) .. os.time()"]),
    ],
)
def test_the_check_finds_undeclared_globals(text: str, problems: list[str]) -> None:
    assert find_problems(text) == problems


def test_the_check_finds_what_does_not_compile() -> None:
    [problem] = find_problems("local x <const> = 1")
    assert "does not compile" in problem


def test_every_use_of_a_global_is_listed_with_its_line() -> None:
    text = 'local f = function()\n  return redis.call("GET", KEYS[1])\nend\nreturn f()'
    assert sorted(list_global_accesses(text)) == [("KEYS", 2), ("redis", 2)]
