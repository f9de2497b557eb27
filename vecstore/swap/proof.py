"""The proof of a copy in another Database: every record of both is read once more and compared by its digest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ..backend import Backend, Rows
from ..digest import MODULUS, Digest, convert_rows
from ..errors import StoreCorrupt
from ..pages import read_ahead, read_pages
from ..rebuild.catch_up import CatchUp
from ..rebuild.copy import Copy

PAGE = 1_000
_ROUNDS = 5
"""How often records that differ are copied again before the exclusive side of the source is taken."""


class Proof:
    """Compares the records of a copy with those of its source, and knows the digest of the copy.

    Vectors that are made anew are left out of the comparison, not of the digest.

    Attributes
    ----------
    suspects : list of str
        Ids of records that differed when they were compared last. A difference may be a recent change.
    source_digest : str
        Of the source as it was read, in the schema of the target.
    """

    def __init__(self, copy: Copy) -> None:
        self._copy = copy
        self._vectors = not copy.embeds
        self.suspects: list[str] = []
        self.source_digest = ""
        self._sum, self._records = 0, 0
        self._is_walked = False

    @property
    def digest(self) -> str:
        """The digest of the target by now."""
        return f"{self._sum % MODULUS:064x}"

    @property
    def records(self) -> int:
        """How many records the target has by now."""
        return self._records

    def walk(self, report: Callable[[int, int], None]) -> None:
        """Read both from the first to the last record, and note which differ."""
        copy = self._copy
        total, done = copy.backend.count(copy.source, None), 0
        found = Digest(copy.target.schema, vectors=self._vectors)
        mine = self._number(self._read_source(found))
        theirs = self._number(self._read_target())
        for id_, one, other in _match(mine, theirs):
            done += one is not None
            if one != other:
                self.suspects.append(id_)
            if not done % PAGE and one is not None:
                report(done, max(done, total))
        report(done, max(done, total))
        self.source_digest, self._is_walked = str(found), True

    def settle(self, catch_up: CatchUp) -> None:
        """Copy again what differs, until only what is being written may differ."""
        catch_up.copy_tombstones()
        for _ in range(_ROUNDS):
            catch_up.run()
            if not self.suspects:
                return
            catch_up.copy_again(self.suspects)
            self.suspects = self._find_differing(self.suspects)

    def check(self) -> None:
        """Check what differed last, while nothing can change.

        Raises
        ------
        StoreCorrupt
        """
        differing = self._find_differing(self.suspects)
        if differing:
            raise StoreCorrupt(
                f"{len(differing)} records differ between the store and its copy, for example {differing[0]!a}. "
                "Nothing was switched, and the copy is given up. Run it again; if this repeats, run verify() on both."
            )

    def forget(self, ids: Sequence[str]) -> None:
        """Take the target's records of these ids out of its digest, before they are written."""
        if self._is_walked:
            self._count(self._copy.into.fetch(self._copy.target, ids), -1)

    def remember(self, ids: Sequence[str]) -> None:
        """Take the target's records of these ids into its digest, after they were written."""
        if self._is_walked:
            self._count(self._copy.into.fetch(self._copy.target, ids), 1)

    def _count(self, rows: Rows, sign: int) -> None:
        self._sum += sign * sum(Digest(self._copy.target.schema).list_numbers(rows))
        self._records += sign * len(rows)

    def _read_source(self, found: Digest) -> Iterator[tuple[Rows, list[int]]]:
        for rows in read_ahead(read_pages(self._copy.backend, self._copy.source)):
            converted = self._convert(rows)
            numbers = found.list_numbers(converted)
            found.add_numbers(numbers)
            yield converted, numbers

    def _read_target(self) -> Iterator[tuple[Rows, list[int]]]:
        compared = Digest(self._copy.target.schema, vectors=self._vectors)
        whole = Digest(self._copy.target.schema)
        for rows in read_ahead(read_pages(self._copy.into, self._copy.target)):
            numbers = whole.list_numbers(rows)
            self._sum += sum(numbers)
            self._records += len(rows)
            yield rows, numbers if self._vectors else compared.list_numbers(rows)

    def _number(self, pages: Iterable[tuple[Rows, list[int]]]) -> Iterator[tuple[str, int]]:
        for rows, numbers in pages:
            yield from zip(rows.ids, numbers, strict=True)

    def _convert(self, rows: Rows) -> Rows:
        source, target = self._copy.source.schema, self._copy.target.schema
        return convert_rows(rows, source, target) if source.differences(target) else rows

    def _find_differing(self, ids: Sequence[str]) -> list[str]:
        copy, digest = self._copy, Digest(self._copy.target.schema, vectors=self._vectors)
        found: list[str] = []
        for start in range(0, len(ids), PAGE):
            part = ids[start : start + PAGE]
            mine = self._convert(copy.backend.fetch(copy.source, part))
            theirs = copy.into.fetch(copy.target, part)
            one, other = (dict(zip(each.ids, digest.list_numbers(each), strict=True)) for each in (mine, theirs))
            found += [id_ for id_ in part if one.get(id_) != other.get(id_)]
        return found


class ProvenCatchUp(CatchUp):
    """Catches up, and keeps the digest of the target while it does.

    It remembers which tombstones it has copied, so that inside the exclusive side only new ones go to the target.
    """

    def __init__(self, copy: Copy, proof: Proof) -> None:
        super().__init__(copy)
        self._proof = proof
        self._buried: set[int] = set()

    @property
    def places(self) -> tuple[Backend, Backend]:
        """Where the source and the target are."""
        return self._copy.backend, self._copy.into

    def copy_tombstones(self) -> None:
        """Copy the versions of removed records, as far as they are not copied."""
        copy, after = self._copy, None
        while tombs := copy.backend.tombstones(copy.source, after, PAGE):
            after = list(tombs)[-1]
            new = {id_: version for id_, version in tombs.items() if hash((id_, version)) not in self._buried}
            if new:
                self._proof.forget(list(new))  # a fence may remove a record whose note is not applied yet
                copy.into.delete(copy.target, list(new), fence=list(new.values()))
                self._proof.remember(list(new))
                self._buried.update(map(hash, new.items()))

    def _copy_ids(self, ids: Sequence[str]) -> None:
        self._proof.forget(ids)
        super()._copy_ids(ids)
        self._proof.remember(ids)


def _match(
    mine: Iterator[tuple[str, int]], theirs: Iterator[tuple[str, int]]
) -> Iterator[tuple[str, int | None, int | None]]:
    """Yield each id of two streams in the order of ids, with what each of them has for it."""
    one, other = next(mine, None), next(theirs, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            if one is not None:
                yield one[0], one[1], None
            one = next(mine, None)
        elif one is None or other[0] < one[0]:
            yield other[0], None, other[1]
            other = next(theirs, None)
        else:
            yield one[0], one[1], other[1]
            one, other = next(mine, None), next(theirs, None)
