"""SQLAlchemy models that are searched by meaning. It takes the extra ``orm``.

`searchable` declares on a model what is searched and where the vectors are; `VectorORM` keeps a store in step with the
rows, whoever changes them, and finds rows. The parts:

* `declarations`, `searched_models`: what a class says, and what that means for its table
* `chunks`: long texts in parts, each of which has a record
* `outbox`, `triggers`, `trigger_statements`: changes are noted in the transaction that makes them, as keys
* `captures`: what triggers note, said without a model, as migrations do
* `worker`, `worker_thread`, `sinks`: changes reach the store, or the column
* `vector_columns`, `vector_indexes`, `column_search`: vectors in the rows themselves
* `row_generations`, `column_generations`, `row_rebuild`: another embedder for vectors in rows, beside the application
* `row_search`, `conditions`: hits are rows that exist and are not hidden
* `row_comparison`: whether a store is what its table says
* `missing_tables`: what to do before ``create_all`` or a migration
* `keys`, `field_types`: keys and values on the way between a table, the outbox and a store
"""

try:
    import sqlalchemy as _sqlalchemy  # noqa: F401
except ImportError as _error:
    from ..errors import MissingExtra as _MissingExtra

    raise _MissingExtra("sqlalchemy", "orm") from _error

from .chunks import Chunk, Chunks
from .declarations import Searchable, SearchAttribute, searchable
from .outbox import Backlog
from .row_comparison import SyncCheck
from .row_rebuild import RowsRebuilt
from .vector_columns import RowVector, VectorColumn
from .vector_orm import VectorORM
from .worker_thread import WorkerThread

__all__ = [
    "Backlog", "Chunk", "Chunks", "RowVector", "RowsRebuilt", "SearchAttribute", "Searchable", "SyncCheck",
    "VectorColumn", "VectorORM", "WorkerThread", "searchable",
]  # fmt: skip
