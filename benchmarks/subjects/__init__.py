"""The subjects, in the order of the tables; each is imported in its own process only."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from ..subject import Subject

SUBJECTS: Mapping[str, str] = {
    "vecstore": "vecstore_hnsw:VecstoreHnsw",
    "vecstore-exact": "vecstore_exact:VecstoreExact",
    "faiss-flat": "faiss_flat:FaissFlat",
    "faiss-hnsw": "faiss_hnsw:FaissHnsw",
    "faiss-hnsw-sq": "faiss_hnsw:FaissHnswFloat16",
    "hnswlib": "hnswlib_graph:HnswlibGraph",
    "usearch": "usearch_graph:UsearchGraph",
    "chromadb": "chromadb_collection:ChromadbCollection",
    "lancedb": "lancedb_table:LancedbTable",
    "zvec": "zvec_collection:ZvecCollection",
    "qdrant-edge": "qdrant_edge_shard:QdrantEdgeShard",
    "qdrant": "qdrant_local:QdrantLocal",
    "vecstore-postgres": "vecstore_postgres:VecstorePostgres",
    "psycopg-by-hand": "psycopg_by_hand:PsycopgByHand",
    "langchain-postgres": "langchain_table:LangchainTable",
    "vecs": "vecs_collection:VecsCollection",
    "vecstore-redis": "vecstore_redis:VecstoreRedis",
    "redis-by-hand": "redis_by_hand:RedisByHand",
    "redisvl": "redisvl_index:RedisvlIndex",
    "langchain-redis": "langchain_hashes:LangchainHashes",
}
ONLY_IN_TURNS: Mapping[str, str] = {
    "vecstore-postgres-using": "vecstore_postgres:VecstorePostgresUsing",
    "redis-by-hand-ft": "redis_by_hand:RedisByHandFt",
}
"""Other ways of using what a subject has filled."""
POSTGRES = ("vecstore-postgres", "psycopg-by-hand", "langchain-postgres", "vecs")
REDIS = ("vecstore-redis", "redis-by-hand", "redisvl", "langchain-redis")
ON_SERVERS: Mapping[str, tuple[str, ...]] = {"postgres": POSTGRES, "redis": REDIS}
"""Groups that need a server, and are measured only where they are named."""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "ours": ("vecstore", "vecstore-exact"),
    "faiss": ("faiss-flat", "faiss-hnsw", "faiss-hnsw-sq"),
    **ON_SERVERS,
    "all": tuple(name for name in SUBJECTS if name not in {*POSTGRES, *REDIS}),
}
ENVIRONMENTS: Mapping[str, str] = {
    "langchain-postgres": ".venv-bench-langchain",
    "vecs": ".venv-bench-vecs",
    "redisvl": ".venv-bench-redisvl",
    "langchain-redis": ".venv-bench-langchain-redis",
}
"""Subjects whose packages do not go with those of the others."""
LARGE = ("vecstore", "faiss-hnsw", "faiss-hnsw-sq", "lancedb")


def subject_class(name: str) -> type[Subject]:
    """Import the class of a subject, and with it its library."""
    module, _, attribute = {**SUBJECTS, **ONLY_IN_TURNS}[name].partition(":")
    found: type[Subject] = getattr(import_module(f".{module}", __name__), attribute)
    return found
