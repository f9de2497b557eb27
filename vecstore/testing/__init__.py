"""The conformance suite: every sentence of the contract as a test, for any backend.

A backend's test file gives a `Place` and inherits the suite::

    from vecstore.testing import Place, StoreSuite

    class TestMine(StoreSuite):
        @pytest.fixture
        def place(self, tmp_path):
            with Place(...) as place:
                yield place

Needs the extra ``testing``.
"""
