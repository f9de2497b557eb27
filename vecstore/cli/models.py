"""`vecstore model export`: a model as a folder that needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..embedders.fidelity import Fidelity
from . import output, progress
from .exits import NEGATIVE, Failure
from .options import Json

HELP = "Models as folders of their own."

_Source = Annotated[
    str,
    typer.Argument(metavar="sentence-transformers:MODEL", help="The model: a path, or its name.", show_default=False),
]
_Lines = 2_000


def export(
    source: _Source,
    folder: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where to. It must not exist.")],
    int8: Annotated[bool, typer.Option("--int8", help="In eight bits: a quarter of the size, and faster.")] = False,
    texts: Annotated[
        Path | None, typer.Option("--texts", metavar="FILE", help="Your own texts to compare on, one in each line.")
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", metavar="FILE", help="Pairs with their similarity: TEXT, TEXT and NUMBER, with tabs."),
    ] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Write it although the fidelity is below 0.99.")] = False,
    json: Json = False,
) -> None:
    """Export a model of sentence-transformers as an ONNX folder, which needs neither torch nor transformers.

    The exported model is compared with the original on your own texts, and refused below a fidelity of 0.99.

    For example:
      vecstore model export sentence-transformers:./model -o ./model-int8 --int8 --texts titles.txt
    """
    from ..embedders.fidelity import SAMPLE_TEXTS
    from ..embedders.onnx_export import FidelityTooLow, export_onnx
    from ..embedders.sentence_transformers import SentenceTransformersEmbedder

    name, _, model = source.partition(":")
    if name != "sentence-transformers" or not model:
        raise Failure(f"A model to export is sentence-transformers:PATH or sentence-transformers:NAME, not {source!r}.")
    own = SAMPLE_TEXTS if texts is None else _read_texts(texts)
    judged = [] if pairs is None else _read_pairs(pairs)
    with progress.show_wait("Exporting the model", quiet=json):
        try:
            done = export_onnx(
                SentenceTransformersEmbedder(model, device="cpu"),
                folder,
                int8=int8,
                texts=own,
                pairs=judged,
                accept=accept,
            )
        except FidelityTooLow as error:
            if not json:
                _print_fidelity(error.fidelity, own=texts is not None)
            low = error.fidelity
            raise Failure(
                f"The fidelity is too low: a mean cosine of {low.cosine_mean:.4f}. Nothing was written. To write it "
                "all the same, add --accept.",
                NEGATIVE,
            ) from error
    if json:
        found = {"folder": str(done.folder), "bytes": done.size, "int8": done.int8, "fidelity": done.fidelity.to_json()}
        output.print_json(found)
        return
    _print_fidelity(done.fidelity, own=texts is not None)
    output.say(f"Wrote {done.folder} ({done.size / 2**20:.0f} MB). Use it with --embedder onnx:{done.folder}")


def _print_fidelity(found: Fidelity, *, own: bool) -> None:
    whose = "of your texts" if own else "sample texts; --texts compares yours"
    output.say(f"Compared on {found.texts:,} {whose}:")
    output.say(f"  cosine to the original      mean {found.cosine_mean:.4f}, least {found.cosine_min:.4f}")
    output.say(f"  nearest ten that stay       {found.overlap:.1%}")
    output.say(f"  order of all similarities   {found.rank_correlation:.4f} (Spearman)")
    if found.sts_before is not None and found.sts_after is not None:
        judged = f"  {found.pairs:,} pairs with judgements"
        output.say(f"{judged:<29} {found.sts_before:.4f} before, {found.sts_after:.4f} after (Spearman)")


def _read_texts(path: Path) -> list[str]:
    lines = [line.strip() for line in _read(path).splitlines()]
    lines = list(dict.fromkeys(line for line in lines if line))
    # Spread over the file, because files are often sorted.
    step = max(1, -(-len(lines) // _Lines))
    return lines[::step]


def _read_pairs(path: Path) -> list[tuple[str, str, float]]:
    pairs = []
    for number, line in enumerate(_read(path).splitlines(), 1):
        if not line.strip():
            continue
        parts = line.split("\t")
        try:
            first, second, score = parts
            pairs.append((first, second, float(score)))
        except ValueError:
            raise Failure(
                f"{path}, line {number}: two texts and a number belong there, with tabs between them."
            ) from None
    return pairs


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise Failure(f"{path} is not UTF-8.") from error


COMMANDS = (export,)
