"""Milvus, which follows a store of PostgreSQL: ids, vectors and what filters compare, for searches.

It is no backend of its own, because it has no compare-and-set: PostgreSQL keeps the records, their versions and the
catalogue, and whatever is here can be lost and made anew.

Pure, and imported without the driver::

    options.py             the URL
    fields.py              declared fields as columns of a collection, each with a flag whether there is a value
    filters.py             a bound filter in Milvus' words, or that it has no words for it
    collection_names.py    names of collections
    batches.py             how many records one request holds
    indexes.py             kinds of indexes: what each is built with, what its effort is called, what bounds it

With the driver, which the extra ``milvus`` installs::

    client.py              a channel to the server, its version, one deadline for each request
    collection.py          one collection: make, fill, search, count, look at its index
    messages.py            requests, and columns of numbers in their wire form
    answers.py             what comes back
    segments.py            how searches read the rows: through the index, one by one, or through an interim one
    failures.py            errors of the driver and of the server in vecstore's words
"""
