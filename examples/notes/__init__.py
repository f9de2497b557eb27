"""An application with a page of notes that are searched by meaning: FastAPI, SQLAlchemy, Alembic and vecstore.

``make example`` runs it, or ``python -m examples.notes``. The parts, in the order in which to read them:

* `models`: a note, and the one line that makes notes searchable
* `storage`: the two URLs, and the objects that an application of this kind has once
* `migrations`: the tables, from the first revision to the present one
* `search`: which notes a query finds
* `drafts`: what a person typed, and what is wrong with it
* `wording`: scores in words, and marked words
* `app`: the pages; `guard`: what every request and answer must satisfy
* `__main__`: the start
"""
