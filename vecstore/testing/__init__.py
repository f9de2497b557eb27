"""The conformance suite: every sentence of the contract as a test, for any backend.

A backend's test file says how an empty place is made, and inherits the suite::

    from vecstore.testing import Place, StoreSuite

    class MyPlace(Place):
        ...

    class TestMine(StoreSuite):
        @pytest.fixture(scope="class")
        def new_place(self, tmp_path_factory):
            return lambda: MyPlace(tmp_path_factory.mktemp("mine"))

Needs the extra ``testing``.
"""
