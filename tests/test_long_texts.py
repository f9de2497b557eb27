"""Long and blank texts: pieces and their mean, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from tests.embedder_makers import letters
from vecstore.embedders import Embedder, FunctionEmbedder, Role, TruncatedText
from vecstore.embedders.long_texts import cut_text
from vecstore.errors import InvalidArgument, InvalidMetadata, InvalidVector


class Counting(Embedder[str]):
    """Reads six words at most, and embeds what it reads as counts of letters."""

    def __init__(self, on_long: Any = "mean", *, normalize: bool = False) -> None:
        super().__init__(kind="test", model="counting", dim=16, normalize=normalize, batch_size=2, on_long=on_long)
        self.read: list[str] = []

    def _encode(self, items: list[str], role: Role, /) -> ArrayLike:
        self.read += items
        return letters([" ".join(item.split()[:6]) for item in items])

    def _max_tokens(self) -> int:
        return 6

    def _count_tokens(self, texts: list[str], role: Role, /) -> list[int]:
        return [len(text.split()) for text in texts]


LONG = "one two three four five six seven eight nine ten eleven twelve thirteen"


class TestMeanOfPieces:
    def test_progress_is_told_in_texts_and_not_in_pieces(self) -> None:
        told: list[tuple[int, int]] = []
        Counting().embed_documents(["tea", LONG, LONG], on_progress=lambda *step: told.append(step))
        assert told == sorted(told)
        assert told[-1] == (3, 3)
        assert {total for _, total in told} == {3}

    @pytest.mark.parametrize("normalize", [False, True])
    def test_a_long_text_is_the_mean_of_its_pieces_weighted_by_tokens(self, *, normalize: bool) -> None:
        embedder = Counting(normalize=normalize)
        found = embedder.embed_documents(["short", LONG, "a b c"])
        pieces = [piece for piece in embedder.read if piece in LONG and piece != "short"]
        assert sorted(" ".join(sorted(pieces, key=LONG.index)).split()) == sorted(LONG.split())
        assert max(len(piece.split()) for piece in pieces) <= 6
        assert len({len(piece.split()) for piece in pieces}) > 1
        rows = letters(pieces).astype(np.float64)
        if normalize:
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        mean = np.average(rows, axis=0, weights=[len(piece.split()) for piece in pieces])
        expected = np.stack([letters(["short"])[0], mean, letters(["a b c"])[0]])
        if normalize:
            expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(found, expected, atol=1e-5)

    def test_words_at_the_end_count(self) -> None:
        one, other = Counting().embed_queries([LONG, LONG.replace("thirteen", "nothing")])
        assert not np.allclose(one, other)
        with pytest.warns(TruncatedText):
            one, other = Counting("truncate").embed_queries([LONG, LONG.replace("thirteen", "nothing")])
        assert np.array_equal(one, other)

    def test_a_script_without_spaces_is_cut_anywhere(self) -> None:
        text = "日本語" * 9
        pieces = cut_text(text, lambda texts: [len(each) for each in texts], 5)
        assert "".join(piece for piece, _ in pieces) == text
        assert {tokens for _, tokens in pieces} <= set(range(1, 6))

    def test_a_text_that_cannot_be_cut_small_enough_ends(self) -> None:
        assert cut_text("日本", lambda texts: [len(each.encode()) for each in texts], 2) == [("日", 3), ("本", 3)]

    def test_a_prompt_that_leaves_no_room_is_refused(self) -> None:
        with pytest.raises(InvalidArgument, match=r"the 5 tokens .* Shorten the prompt"):
            cut_text("a b c", lambda texts: [5 + len(each.split()) for each in texts], 5)

    def test_it_is_a_part_of_the_config(self) -> None:
        assert Counting().config["on_long"] == "mean"
        assert "on_long" not in Counting("error").config

    def test_errors_name_the_text_and_not_the_piece(self) -> None:
        embedder = FunctionEmbedder(letters, dim=16, name="x")
        with pytest.raises(InvalidMetadata, match=r"documents\[1\] is white space"):
            embedder.embed_documents(["a", " \n"])
        with pytest.raises(InvalidMetadata, match=r"queries\[0\] is an empty text"):
            embedder.embed_queries([""])

        class Broken(Counting):
            def _encode(self, items: list[str], role: Role, /) -> ArrayLike:
                return [[np.nan if "thirteen" in item else 1.0] * 16 for item in items]

        with pytest.raises(InvalidVector, match=r"documents\[1\]: .* NaN"):
            Broken().embed_documents(["short", LONG])
