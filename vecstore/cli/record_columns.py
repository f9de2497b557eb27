"""Records of the rows of a file: which columns are the id, the text and the vector; all others are metadata."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ..fields import Field
from ..records import Record
from ..rows.missing import name_missing
from .cell_values import convert_value
from .declarations import to_field_name
from .exits import Failure
from .json_values import parse_json
from .sources import ColumnNames, list_names
from .text_lines import Unreadable
from .vector_columns import (
    VectorFit,
    check_numbers,
    choose_vector_key,
    find_scattered,
    find_scattered_values,
    is_vector_name,
    measure_vector,
    parse_vector,
)


@dataclass(frozen=True, slots=True)
class TableLayout:
    """What the columns of a table are, for each of its rows, and under which key each other column is stored.

    ``needs_look`` says that a row without a vector is wrong, or may have it in another column.
    """

    id: str
    text: str | None
    vector: str | None
    metadata: Mapping[str, str]
    needs_look: bool


class RecordColumns:
    """Makes the records of one file.

    Parameters
    ----------
    file : str
        What messages call the file.
    columns : ColumnNames
    fields : mapping of str to Field
        Declared fields; values are converted to their types.
    fit : VectorFit
        Which vectors are taken from a column that nobody named.
    from_text : bool
        Whether every value of the file is text.
    exact : bool
        Whether every name is meant as it is, as in an export.
    embeds : bool
        Whether a text without a vector is embedded; not in an export with vectors, where it had none.
    """

    def __init__(
        self,
        file: str,
        columns: ColumnNames,
        fields: Mapping[str, Field],
        fit: VectorFit,
        *,
        from_text: bool,
        exact: bool = False,
        embeds: bool = True,
    ) -> None:
        self.notes: list[str] = []
        self.fields, self.embeds, self.is_vector_optional = fields, embeds, fit.optional
        self._file, self._columns, self._fit = file, columns, fit
        self._from_text, self._exact = from_text, exact
        self._guessed: str | None = None
        self._is_first, self._has_bare_texts = True, False
        self._noted: set[str] = set()

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse a table without a column that was named, or in which each number of a vector has one of its own.

        Raises
        ------
        Failure
        """
        names = list(names)
        for part, wanted in (("text", self._columns.text), ("vector", self._columns.vector)):
            if part in self._columns.given and wanted != part:  # which says that there is none
                self._refuse_unknown(names, part, wanted)
        if not (self._exact or "vector" in self._columns.given):
            self._refuse_scattered(find_scattered(names))

    def _refuse_unknown(self, names: Sequence[str], part: str, wanted: str) -> None:
        if self._find_key(names, wanted, f"--{part}-column") is None:
            raise Failure(
                f"{self._file}: no {wanted!a} among {list_names(names)}; name another column with --{part}-column."
            )

    def _refuse_scattered(self, names: Sequence[str]) -> None:
        if names:
            raise Failure(
                f"{self._file}: {len(names):,} columns {names[0]!a} to {names[-1]!a} look like "
                "the numbers of one vector; join them to one column of lists such as [0.1, 0.2], or add "
                "--vector-column vector to embed the texts and keep them as metadata."
            )

    def find_vector_names(self, names: Iterable[str]) -> list[str]:
        """Return the columns of a table that may hold vectors."""
        listed = list(names)
        named = self._find_key(listed, self._columns.vector, "--vector-column")
        if named is not None:
            return [named]
        if self._exact or "vector" in self._columns.given:
            return []
        return [name for name in listed if is_vector_name(name) and name not in self.fields]

    def make_record(self, row: Mapping[str, Any], place: str, names: Sequence[str] | None = None) -> Record:
        """Return the record of a row. ``names`` are the columns of the table, also those without a value.

        Raises
        ------
        Unreadable
            The row is no record.
        Failure
            The file has vectors that are neither used nor left alone without a word of the user.
        """
        values = dict(row)
        id_ = self._take_id(values, row if names is None else names)
        text = self._take(values, self._columns.text, "--text-column")
        vector = self._take(values, self._columns.vector, "--vector-column")
        self._merge_nested(values)
        if self._exact:
            pass
        elif vector is None and "vector" not in self._columns.given:
            vector = self._find_vector(values, place, has_text=text is not None)
        elif self._is_first:
            if vector is None and self._columns.vector != "vector" and not (self._fit.optional or self._fit.obstacle):
                self._refuse_unknown(list(row if names is None else names), "vector", self._columns.vector)
            self._note_second_vector(values)
        self._is_first = False
        if text is None and vector is None and not self._fit.optional:
            raise Unreadable(
                f"neither {self._columns.text!a} nor {self._columns.vector!a} has a value among "
                f"{list_names(row if names is None else names)}; name "
                "the columns with --text-column and --vector-column"
            )
        if isinstance(vector, str):
            vector = parse_vector(vector, self._columns.vector)
        if isinstance(vector, list):
            check_numbers(vector, self._guessed or self._columns.vector)
        metadata = {}
        for key, value in values.items():
            name = self._name_field(key, values)
            metadata[name] = self._convert(name, value)
        return Record(id_, vector, text, metadata, embed=self.embeds)

    def find_layout(self, names: Sequence[str], filled: Collection[str]) -> TableLayout | None:
        """Return what the columns of a table are, or None if a row says so, as the first one of a file does.

        ``filled`` are the columns that have values.
        """
        if self._is_first or len({name.strip().casefold() for name in names}) < len(names):
            return None
        id_ = self._find_key(names, self._columns.id, "--id-column")
        text = self._find_key(names, self._columns.text, "--text-column")
        vector = self._find_key(names, self._columns.vector, "--vector-column")
        if id_ is None or (self._guessed is not None and vector is not None):
            return None
        vector = self._guessed or vector
        rest = dict.fromkeys(name for name in filled if name not in {id_, text, vector})
        metadata = {name: self._name_field(name, rest) for name in rest}
        if len(set(metadata.values())) < len(metadata):
            return None
        is_settled = self._exact or ("vector" in self._columns.given and self._guessed is None)
        return TableLayout(id_, text, vector, metadata, needs_look=not is_settled)

    def convert_column(self, key: str, values: Iterable[Any]) -> list[Any]:
        """Return the values of one key of metadata; see `convert_value`."""
        if self._from_text and key not in self.fields:
            return list(values)
        return [self._convert(key, value) for value in values]

    def is_renamed(self, key: str) -> bool:
        """Return whether a key is stored in the declared field of a name that is written in another way."""
        return not self._exact and key not in self.fields and to_field_name(key) in self.fields

    def _convert(self, key: str, value: Any) -> Any:
        return convert_value(key, value, self.fields.get(key), from_text=self._from_text, on_naive=self._note_naive)

    def _take_id(self, values: dict[str, Any], names: Iterable[str]) -> str:
        key = self._find_key(names, self._columns.id, "--id-column")
        if key is None:
            another = "another column" if "id" in self._columns.given else "the column that holds ids"
            raise Unreadable(f"no {self._columns.id!a} among {list_names(names)}; name {another} with --id-column")
        id_ = values.pop(key, None)
        if id_ is None or name_missing(id_):
            raise Unreadable(f"{key!a} is empty; every record needs an id, or name another column with --id-column")
        if isinstance(id_, int | UUID) and not isinstance(id_, bool):
            id_ = str(id_)
        if not isinstance(id_, str):
            raise Unreadable(f"{key!a} is not text or a whole number, but of type {type(id_).__name__}")
        return id_

    def _take(self, values: dict[str, Any], name: str, option: str) -> Any:
        key = self._find_key(values, name, option)
        value = None if key is None else values.pop(key)
        return None if name_missing(value) else value

    def _find_key(self, names: Iterable[str], wanted: str, option: str) -> str | None:
        """Return the name that is the wanted one, or that differs from it only in case and outer spaces."""
        if wanted in names:
            return wanted
        if self._exact:
            return None
        folded = wanted.strip().casefold()
        found = [name for name in names if name.strip().casefold() == folded]
        if len(found) > 1:
            raise Failure(
                f"{self._file} has the columns {', '.join(map(ascii, found))}; name the right one with {option}."
            )
        return found[0] if found else None

    def _merge_nested(self, values: dict[str, Any]) -> None:
        nested = values.get("metadata")
        if isinstance(nested, str) and nested.lstrip().startswith("{"):
            nested = parse_json(nested, "metadata")
        if not isinstance(nested, dict):
            return
        del values["metadata"]
        if twice := sorted(set(values) & set(nested)):
            raise Unreadable(f"{twice[0]!a} is given twice, once within 'metadata'")
        values.update(nested)

    def _find_vector(self, values: dict[str, Any], place: str, *, has_text: bool) -> Any:
        """Take the vector under a usual name out of a row, or stop if there is one that does not fit."""
        if self._guessed is not None:
            vector = values.pop(self._guessed, None)
            if vector is None and has_text:
                raise Unreadable(
                    f"no vector in {self._guessed!a}, where the records before have one; add --vector-column "
                    f"{self._guessed} to embed the texts of such records"
                )
            return vector
        try:
            key = choose_vector_key(values, self.fields)
        except Unreadable as error:
            raise Failure(f"{place}: {error}.") from error
        if key is None:
            if self._is_first:
                self._refuse_scattered(find_scattered_values(values))
            self._has_bare_texts = self._has_bare_texts or has_text
            return None
        obstacle = self._fit.find_obstacle(measure_vector(values[key]))
        if not obstacle and self._has_bare_texts:
            obstacle = "records before it have only a text"
        if obstacle:
            raise Failure(
                f"{place}: {key!a} looks like vectors, but {obstacle}. Add --vector-column {key} to use them, or "
                f"--vector-column {self._columns.vector} to embed the texts and keep {key!a} as metadata."
            )
        self._guessed = key
        self.notes.append(
            f"{self._file}: the vectors are those in {key!a}. To embed the texts instead, add --vector-column "
            f"{self._columns.vector}."
        )
        return values.pop(key)

    def _note_second_vector(self, values: Mapping[str, Any]) -> None:
        for key, value in values.items():
            if is_vector_name(key) and key not in self.fields and measure_vector(value):
                self.notes.append(f"{self._file}: {key!a} looks like vectors too and is kept as metadata.")

    def _name_field(self, key: str, values: Mapping[str, Any]) -> str:
        """Return the declared field for a column whose name is written in another way, otherwise the name."""
        if self._exact or key in self.fields or not self.fields:
            return key
        name = to_field_name(key)
        if name not in self.fields or name in values:
            return key
        if key not in self._noted:
            self._noted.add(key)
            self.notes.append(f"{self._file}: {key!a} is stored in the declared field {name}.")
        return name

    def note_nameless(self) -> None:
        """Note that a column without a name has values, which are left out."""
        if "" not in self._noted:
            self._noted.add("")
            self.notes.append(f"{self._file}: a column without a name, such as the index of pandas, is left out.")

    def _note_naive(self, key: str) -> None:
        if f"naive {key}" not in self._noted:
            self._noted.add(f"naive {key}")
            self.notes.append(f"{self._file}: dates without a time zone in {key!a} are taken for UTC.")
