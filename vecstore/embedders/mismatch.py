"""The message when an embedder is not the one that filled a store: what differs, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .identity import Identity


def name_store(store: str | None) -> str:
    """Return what messages call a store whose name may be unknown."""
    return "The store" if store is None else f"Store {store!r}"


def explain_mismatch(stored: Identity, found: Identity, store: str | None) -> str:
    """Return why an embedder is refused, and what to do."""
    again = f"embed its texts again: db.rebuild({'name' if store is None else repr(store)}, embedder=...)."
    if {stored.modality, found.modality} != {"text"}:
        again = "add the items to a new store: they are not stored, so nothing can embed them again."
    if stored.config == found.config:
        return (
            f"The model behind {stored.name} changed. {name_store(store)} contains vectors of the earlier model. "
            f"Restore that model, or {again}"
        )
    advice = f"Open it with that embedder, or {again}"
    if stored.name != found.name:
        return f"{name_store(store)} was filled with {stored.name}, not with {found.name}. {advice}"
    keys = sorted({*stored.config, *found.config})
    unlike = ", ".join(key for key in keys if stored.config.get(key) != found.config.get(key))
    return f"{name_store(store)} was filled with {stored.name} with different settings: {unlike}. {advice}"
