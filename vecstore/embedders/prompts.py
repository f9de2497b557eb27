"""Prompts: the text that a model expects before every document and before every query."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..errors import InvalidArgument, close_matches
from .base import Role

# sentence-transformers looks for the prompt of a role under these names, in this order.
PROMPT_NAMES: Mapping[Role, tuple[str, ...]] = MappingProxyType(
    {"document": ("document", "passage", "corpus"), "query": ("query",)}
)


class Prompts:
    """The prompts that a caller gave, as text or as the name of one of the model's own.

    Parameters
    ----------
    texts, names : mapping of role to str, optional
    """

    def __init__(self, texts: Mapping[Role, str] | None, names: Mapping[Role, str] | None) -> None:
        self._texts = _check_by_role("prompts", texts)
        self._names = _check_by_role("prompt_names", names)
        if both := sorted(self._texts.keys() & self._names.keys()):
            raise InvalidArgument(f"The prompt for {both[0]!r} is given both as text and by name. Give one of them.")

    def find(self, role: Role, known: Mapping[str, str | None], default: str | None, model: str) -> str:
        """Return the prompt of a role.

        Parameters
        ----------
        role : {"document", "query"}
        known : mapping of str to str or None
            The model's own prompts by name.
        default : str or None
            Name of the model's default prompt.
        model : str
            Name of the model, for messages.

        Raises
        ------
        InvalidArgument
        """
        if role in self._texts:
            return self._texts[role]
        if role in self._names:
            name = self._names[role]
            if name not in known:
                raise InvalidArgument(f"{model!r} has no prompt {name!r}.{close_matches(name, known)}")
            return known[name] or ""
        found = next((name for name in PROMPT_NAMES[role] if name in known), default)
        return known.get(found or "") or ""


def _check_by_role(option: str, given: Mapping[Role, str] | None) -> dict[Role, str]:
    prompts = dict(given or {})
    for role, text in prompts.items():
        if role not in PROMPT_NAMES:
            raise InvalidArgument(f"{option} has an unknown role {role!r}.{close_matches(role, PROMPT_NAMES)}")
        if not isinstance(text, str):
            raise InvalidArgument(f"{option}[{role!r}] is {type(text).__name__}, not str.")
    return prompts
