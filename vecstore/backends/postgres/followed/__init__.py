"""A generation whose vectors another engine follows: Milvus holds a copy of ids, vectors and fields, to be searched.

PostgreSQL stays the truth. The table of a followed generation has triggers that note the ids of whatever changes in it,
in the same commit, whoever writes (`triggers`, and the function that the migration made). A note waits until Milvus has
the record: `feeding` reads noted records again by id, sends them, and marks the notes with the timestamp that Milvus
gave, in one commit with the catalogue's ``applied`` (`follower`). Marked notes are forgotten some seconds later.

A search asks Milvus for what it has after ``applied``, as the catalogue said it last, and then PostgreSQL, in one
statement, for the distances of these hits and of everything that is noted and not marked, or marked later than that
(`answer`). Milvus never has what PostgreSQL has not committed before. So in the snapshot of that statement each record
is either noted, or in Milvus as it is stored. Whatever cannot be proven that way is answered by PostgreSQL alone
(`route`), and so is everything while Milvus or a collection is gone (`outages`).

One process after another feeds, in rounds under an advisory lock (`feeding`). A round that is not known to have ended
keeps later ones waiting as long as its requests may be under way.
"""
