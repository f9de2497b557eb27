"""What a ``milvus:`` URL may say, and that no message about a wrong one has a secret in it."""

from __future__ import annotations

import pytest

import vecstore
from vecstore import InvalidUrl
from vecstore.backends.milvus.options import MilvusOptions, parse_milvus_url

SECRET = "tiger"  # noqa: S105 - of nobody


@pytest.mark.parametrize(
    "url, expected",
    [
        ("milvus://host", MilvusOptions("host:19530")),
        ("milvus://HOST:1", MilvusOptions("host:1")),
        ("  milvus://10.0.0.1:19531/  ", MilvusOptions("10.0.0.1:19531")),
        ("milvus://[::1]:19530/books", MilvusOptions("[::1]:19530", "books")),
        ("milvus://u:p%40%3A@host/b_1", MilvusOptions("host:19530", "b_1", "u", "p@:")),
        ("milvus://u:p%25zz%c3%A9@host", MilvusOptions("host:19530", "default", "u", "p%zzé")),
        ("milvus://:key@host", MilvusOptions("host:19530", "default", "", "key")),
        ("milvus://host?timeout=2.5&tls=on&shards=4", MilvusOptions("host:19530", tls=True, timeout=2.5, shards=4)),
        ("milvus://host?tls=on&ca=/etc/ca.pem", MilvusOptions("host:19530", tls=True, authority="/etc/ca.pem")),
    ],
)
def test_every_part_is_read(url: str, expected: MilvusOptions) -> None:
    assert parse_milvus_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "", "milvus:", "milvus://", "milvus:///b", "milvus:host", "http://host", "host:19530", "milvus://ho st",
        "milvus://host:0", "milvus://host:65536", "milvus://host:x", "milvus://host:19530/a/b", "milvus://host/1a",
        "milvus://host/a-b", "milvus://-host", "milvus://host?timeout=0", "milvus://host?timeout=nan",
        "milvus://host?shards=0", "milvus://host?shards=17", "milvus://host?tls=yes", "milvus://host?ca=/etc/ca.pem",
        "milvus://host?tls=on&ca=", "milvus://host?tieout=3", "milvus://host?timeout=1&timeout=2",
        f"milvus://user:{SECRET}@@host", f"milvus://user@host/{SECRET}@x", f"milvus://{SECRET}@host",
        f"milvus://user:{SECRET}%FF@host", f"milvus://user:{SECRET}%00@host", f"milvus://user:{SECRET}/@host",
        f"milvus://user:{SECRET}?@host", f"milvus://user:{SECRET}@host?{SECRET}=1", f"milvus://user:{SECRET}@host:99999",
        f"milvus://us%3Aer:{SECRET}@host", f"milvus://user:{SECRET}%zz@host", f"milvus://user:{SECRET}%4@host",
        f"milvus://us%er:{SECRET}@host", f"milvus://user:{SECRET}%@host",
    ],
)  # fmt: skip
def test_a_wrong_url_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(InvalidUrl) as refused:
        parse_milvus_url(url)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None or SECRET not in str(refused.value.__cause__)


@pytest.mark.parametrize("text", ["", "milvus", "localhost:19530", "./folder", "http://host", "milvus://"])
def test_what_is_no_url_of_milvus_is_told_what_one_looks_like(text: str) -> None:
    with pytest.raises(InvalidUrl, match=r"^vectors= takes a Milvus URL: milvus://host:19530"):
        parse_milvus_url(text)


def test_milvus_alone_is_no_place() -> None:
    with pytest.raises(InvalidUrl, match="postgresql://") as refused:
        vecstore.connect(f"milvus://scott:{SECRET}@host:19530")
    assert SECRET not in str(refused.value)


def test_a_misspelled_parameter_is_named_with_the_right_one() -> None:
    with pytest.raises(InvalidUrl, match=r"tieout.*timeout"):
        parse_milvus_url("milvus://host?tieout=3")


def test_neither_the_place_nor_the_repr_has_a_secret() -> None:
    options = parse_milvus_url(f"milvus://scott:{SECRET}@host/books")
    assert options.place == "milvus://host:19530/books"
    assert SECRET not in repr(options)
    assert "scott" not in repr(options)
