"""A model of sentence-transformers as a folder for `OnnxEmbedder`: one graph, fused, in eight bits on demand."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InvalidArgument, MissingExtra, VecstoreError
from .fidelity import SAMPLE_TEXTS, Fidelity, check_comparison, measure_fidelity
from .onnx_folder import MODEL, SETTINGS, TOKENIZER, FolderSettings, hash_model
from .onnx_model import OnnxEmbedder
from .sentence_transformers import SentenceTransformersEmbedder
from .staged_folder import stage_folder

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_OUTPUT = "sentence_embedding"
_OPSET = 17


class FidelityTooLow(VecstoreError):
    """An exported model is too far from the one it was made of. Nothing was written.

    Parameters
    ----------
    message : str
    fidelity : Fidelity
    """

    def __init__(self, message: str, fidelity: Fidelity) -> None:
        super().__init__(message)
        self.fidelity = fidelity


@dataclass(frozen=True)
class ExportedModel:
    """What an export wrote.

    Parameters
    ----------
    folder : Path
    size : int
        Bytes of the graph with its weights.
    int8 : bool
    fidelity : Fidelity
    """

    folder: Path
    size: int
    int8: bool
    fidelity: Fidelity


def export_onnx(
    model: SentenceTransformersEmbedder,
    folder: str | os.PathLike[str],
    *,
    int8: bool = False,
    texts: Sequence[str] = SAMPLE_TEXTS,
    pairs: Sequence[tuple[str, str, float]] = (),
    accept: bool = False,
    on_step: Callable[[str], None] | None = None,
) -> ExportedModel:
    """Write a model as a folder that `OnnxEmbedder` reads, with onnxruntime and tokenizers alone.

    The graph takes tokens and gives the model's vectors, pooling and scaling included. It is compared with the model on
    ``texts`` before it gets its name. Nothing is left of an export that failed or was killed.

    Parameters
    ----------
    model : SentenceTransformersEmbedder
    folder : path
        Must not exist.
    int8 : bool
        Weights and products in eight bits: a quarter of the size, faster, and a model of its own. A store that was
        filled with the other one refuses it.
    texts : sequence of str
        What fidelity is measured on: texts such as the ones that will be searched.
    pairs : sequence of (str, str, float)
        Pairs of texts with judgements of their similarity, of which the correlation must stay.
    accept : bool
        Write the folder although the fidelity is below 0.99.
    on_step : callable, optional
        Called with what is done now.

    Returns
    -------
    ExportedModel

    Raises
    ------
    FidelityTooLow
        The mean cosine, or the correlation with judgements, is below 0.99 of what it was.
    InvalidArgument
        The folder exists, or the model is of a kind that cannot be exported.
    MissingExtra
        A library of the extra ``onnx-export`` is not installed.
    """
    for library in ("onnx", "onnxruntime", "sentence_transformers", "tokenizers"):
        if importlib.util.find_spec(library) is None:
            raise MissingExtra(library.replace("_", "-"), "onnx-export")
    check_comparison(texts, pairs)  # now, because the export takes half a minute
    tell = on_step or _ignore
    with stage_folder(folder) as part, _silence():
        tell("Loading the model")
        settings = _describe(model)
        loaded = model.load_model()
        tell("Writing the graph")
        _write_tokenizer(loaded, part)
        graph = part / "work.onnx"
        _trace(loaded, graph)
        tell("Fusing operators")
        _fuse(loaded, graph)
        if int8:
            tell("Converting to eight bits")
            _quantize(graph, part / MODEL)
            graph.unlink()
        else:
            graph.rename(part / MODEL)
        settings = FolderSettings(settings.model, settings.max_tokens, "none", settings.prompts, hash_model(part, None))
        content = settings.to_json()
        _write_json(part / SETTINGS, content)
        tell("Comparing with the model")
        normalize = bool(model.config["normalized"])
        fidelity = measure_fidelity(model, OnnxEmbedder(part, normalize=normalize), texts, pairs)
        if not (fidelity.is_enough or accept):
            raise FidelityTooLow(
                f"The exported model is too far from {model.name!r}: the mean cosine is {fidelity.cosine_mean:.4f}, "
                f"and {fidelity.overlap:.0%} of the nearest texts stay. Nothing was written; accept=True writes it.",
                fidelity,
            )
        _write_json(part / SETTINGS, {**content, "fidelity": fidelity.to_json()})
        size = (part / MODEL).stat().st_size
    return ExportedModel(Path(os.path.expanduser(folder)), size, int8, fidelity)


def _describe(model: SentenceTransformersEmbedder) -> FolderSettings:
    config = model.config
    if config["truncate_dim"] is not None:
        raise InvalidArgument("Export the whole model, and pass truncate_dim to OnnxEmbedder.")
    if not isinstance(config["max_tokens"], int):
        raise InvalidArgument(f"{model.name!r} does not say how many tokens it reads, or has no tokenizer for text.")
    return FolderSettings(config["model"], config["max_tokens"], "none", config["prompts"])


def _write_tokenizer(loaded: Any, part: Path) -> None:
    backend = getattr(loaded.tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise InvalidArgument("The model's tokenizer cannot be written as tokenizer.json.")
    backend.save(str(part / TOKENIZER))


def _trace(loaded: Any, path: Path) -> None:
    import inspect

    import torch

    class Graph(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.model = loaded

        def forward(self, *inputs: Any) -> Any:
            return self.model(dict(zip(names, inputs, strict=True)))[_OUTPUT]

    taken = inspect.signature(loaded.transformers_model.forward).parameters
    names = [name for name in _INPUTS if name in taken]
    if names[:2] != list(_INPUTS[:2]):
        raise InvalidArgument(f"A model of the class {type(loaded.transformers_model).__name__} cannot be exported.")
    example = torch.ones(2, 7, dtype=torch.int64)
    mask = torch.ones_like(example)
    mask[1, 4:] = 0
    inputs = (example, mask, torch.zeros_like(example))[: len(names)]
    axes = {name: {0: "texts", 1: "tokens"} for name in names} | {_OUTPUT: {0: "texts"}}
    was_training = loaded.training
    try:
        with torch.no_grad():
            torch.onnx.export(
                Graph().eval(), inputs, str(path), input_names=names, output_names=[_OUTPUT], dynamic_axes=axes,
                opset_version=_OPSET, dynamo=False,
            )  # fmt: skip
    finally:
        loaded.train(was_training)


def _fuse(loaded: Any, path: Path) -> None:
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    config = loaded.transformers_model.config
    heads, width = getattr(config, "num_attention_heads", 0), getattr(config, "hidden_size", 0)
    if not heads or not width:
        return
    fused = optimizer.optimize_model(
        str(path), model_type="bert", num_heads=heads, hidden_size=width, optimization_options=FusionOptions("bert")
    )
    fused.save_model_to_file(str(path))


def _quantize(source: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # Seven bits for weights, each channel with a scale of its own: without VNNI, sums of products of eight by eight
    # bits overflow their sixteen, and cosines to the model fall from 0.993 to 0.96. Fused operators need the type.
    quantize_dynamic(
        str(source), str(target), per_channel=True, reduce_range=True, weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": 1},
    )  # fmt: skip


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8")


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what the exporters say to themselves: deprecations, and advice for other kinds of models."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)


def _ignore(_: str) -> None:
    return
