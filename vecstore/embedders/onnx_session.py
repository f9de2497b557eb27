"""A loaded ONNX model with its tokenizer: texts in, one vector a text out, without torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidArgument, InvalidVector
from .onnx_folder import MODEL, TOKENIZER, Pooling
from .vector_checks import Float32Array

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_TOKENS_IN_BATCH = 512
"""Tokens of a batch with its padding. Larger ones leave the processor's cache, and smaller ones wait for each other."""
_READING_ERRORS = (Exception,)
"""What tokenizers raises for a file that it cannot read: the root of all errors, and nothing more particular."""
_INT8 = (b"MatMulInteger", b"DynamicQuantizeMatMul", b"QLinearMatMul", b"QAttention", b"MatMulNBits")
"""Operators whose results differ between processors: their kernels saturate on some of them."""


class OnnxSession:
    """The model of one folder.

    Parameters
    ----------
    folder : Path
    max_tokens : int
    pooling : {"none", "mean", "cls", "last"}
    threads : int, optional
        By default one for each processor.

    Raises
    ------
    InvalidArgument
        onnxruntime or tokenizers cannot read a file, or the graph does not embed texts.
    """

    def __init__(self, folder: Path, max_tokens: int, pooling: Pooling, threads: int | None) -> None:
        self._tokenizer = _load_tokenizer(folder / TOKENIZER)
        self._counter = _load_tokenizer(folder / TOKENIZER)
        self._tokenizer.enable_truncation(max_tokens)
        self._pad = _find_pad(self._counter)
        self._pooling = pooling
        self._path = path = folder / MODEL
        self.is_quantized = _has_quantized(path)
        self._threads = threads or _count_processors()
        # Texts that are run one by one keep all processors busy as several calls, and not as parts of one.
        self._session = _load_session(path, 1 if self.is_quantized else self._threads)
        inputs = [each.name for each in self._session.get_inputs()]
        if "input_ids" not in inputs or not set(inputs) <= set(_INPUTS):
            raise InvalidArgument(f"{path} takes {', '.join(inputs)}, and an embedder has {', '.join(_INPUTS)}.")
        self._inputs = inputs
        self._output = _choose_output(path, self._session.get_outputs(), pooling)

    def count_tokens(self, texts: list[str]) -> Sequence[int]:
        """Return how many tokens each text has, before it is truncated."""
        return [len(encoded.ids) for encoded in self._counter.encode_batch_fast(texts)]

    def embed(self, texts: list[str]) -> Float32Array:
        """Return one row a text. Texts with as many tokens share a batch, which is as large as its tokens allow.

        A graph in eight bits takes its scales from all that is in a batch, so the vector of a text would depend on its
        neighbours: a cosine of 0.98 to itself in the worst case. There each text is a batch.
        """
        ids = [encoded.ids for encoded in self._tokenizer.encode_batch_fast(texts)]
        known = [position for position, tokens in enumerate(ids) if tokens]
        if len(known) == len(ids):
            return self._run_all(ids)
        # A text without tokens would get the vector of the padding. Zeros are refused with the name of the text.
        found = self._run_all([ids[position] for position in known]) if known else self._run([[self._pad]])[:0]
        rows = np.zeros((len(ids), found.shape[1]), np.float32)
        rows[known] = found
        return rows

    def _run_all(self, ids: list[list[int]]) -> Float32Array:
        if self.is_quantized:
            return self._run_each(ids)
        batches = list(_cut_by_tokens([len(each) for each in ids]))
        found = [self._run([ids[position] for position in positions]) for positions in batches]
        rows = np.empty((len(ids), found[0].shape[1]), np.float32)
        for positions, part in zip(batches, found, strict=True):
            rows[positions] = part
        return rows

    def _run_each(self, ids: list[list[int]]) -> Float32Array:
        count = min(self._threads, len(ids))
        if count == 1:
            return np.concatenate([self._run([each]) for each in ids])

        def run(first: int) -> list[Float32Array]:
            return [self._run([each]) for each in ids[first::count]]

        # A pool for each call, because the threads of a lasting one would be missing in a forked process.
        with ThreadPoolExecutor(count) as pool:
            parts = list(pool.map(run, range(count)))
        rows = np.empty((len(ids), parts[0][0].shape[1]), np.float32)
        for first, part in enumerate(parts):
            rows[first::count] = np.concatenate(part)
        return rows

    def _run(self, batch: list[list[int]]) -> Float32Array:
        width = max(map(len, batch))
        ids = np.full((len(batch), width), self._pad, np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        try:
            found = self._session.run([self._output], {name: known[name] for name in self._inputs})[0]
        except _list_errors() as error:
            raise InvalidArgument(
                f"onnxruntime cannot run {self._path} on these texts ({type(error).__name__}): its graph and its "
                f"{TOKENIZER} may belong to different models. Export the model again."
            ) from error
        rows = np.asarray(found, np.float32)
        # numpy would repeat a single row for a whole batch.
        if rows.ndim < 2 or len(rows) != len(batch):
            raise InvalidVector(f"{self._path} returned an array of shape {rows.shape} for {len(batch)} texts.")
        return _pool(rows, mask, self._pooling)


def _count_processors() -> int:
    # Not all systems tell which processors the process may use.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cut_by_tokens(lengths: list[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    # In growing order, so the last of a batch is the longest, to which the others are padded.
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[position] * (len(batch) + 1) > _TOKENS_IN_BATCH:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


def _pool(found: Float32Array, mask: NDArray[np.int64], pooling: Pooling) -> Float32Array:
    if pooling == "none":
        return found
    if found.ndim != 3:
        raise InvalidArgument(f"pooling={pooling!r} needs a vector for each token, which this graph does not give.")
    if pooling == "cls":
        return found[:, 0]
    if pooling == "last":
        return np.asarray(found[np.arange(len(found)), mask.sum(axis=1) - 1], np.float32)
    weights = mask[:, :, np.newaxis].astype(np.float32)
    return np.asarray((found * weights).sum(axis=1) / weights.sum(axis=1), np.float32)


def _load_tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except _READING_ERRORS as error:
        raise InvalidArgument(f"tokenizers cannot read {path}.") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _find_pad(tokenizer: Any) -> int:
    # The mask hides it, but models that number positions by it need the right one.
    found = (tokenizer.token_to_id(name) for name in ("[PAD]", "<pad>", "<|endoftext|>"))
    return next((pad for pad in found if pad is not None), 0)


def _load_session(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    # Threads that spin while they wait take the processor from the application.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _list_errors() as error:
        raise InvalidArgument(f"onnxruntime cannot load {path}. Export the model again.") from error


def _list_errors() -> tuple[type[Exception], ...]:
    """Return the errors of onnxruntime, which have no root of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    return tuple(each for each in vars(states).values() if isinstance(each, type) and issubclass(each, Exception))


def _has_quantized(path: Path) -> bool:
    content = path.read_bytes()
    return any(name in content for name in _INT8)


def _choose_output(path: Path, outputs: Sequence[Any], pooling: Pooling) -> str:
    wanted = 2 if pooling == "none" else 3
    fitting = [each.name for each in outputs if len(each.shape) == wanted]
    if not fitting:
        what = "a vector for each text" if wanted == 2 else "vectors of tokens, which pooling joins"
        advice = "Name another pooling: mean, cls or last." if wanted == 2 else "Pass pooling='none'."
        raise InvalidArgument(f"{path} has no output with {what}. {advice}")
    return "sentence_embedding" if "sentence_embedding" in fitting else str(fitting[0])
