"""The conformance suite: every sentence of the contract as a test, for any backend.

A backend's test file says how an empty place is made, and inherits the suite::

    from vecstore.testing import Place, StoreSuite

    class MyPlace(Place):
        ...

    class TestMine(StoreSuite):
        @pytest.fixture(scope="class")
        @classmethod
        def new_place(cls, tmp_path_factory):
            return lambda: MyPlace(tmp_path_factory.mktemp("mine"))

``pytest.register_assert_rewrite("vecstore.testing")`` in the ``conftest.py`` lets failures show their
values. `EmbedderSuite` is the same for an embedder. Needs the extra ``testing``.
"""

from .embedder_suite import EmbedderSuite
from .place import Place, Places, RawGeneration, RawIndex, RawRecord
from .suite import StoreSuite

__all__ = ["EmbedderSuite", "Place", "Places", "RawGeneration", "RawIndex", "RawRecord", "StoreSuite"]
