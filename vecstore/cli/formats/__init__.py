"""Formats of documents: what is read, by which file here, and what is refused with the way out (`kinds`).

Text is read in this process. Everything else is parsed in a process of its own (`process`, `worker`), within `limits`:
parsers meet damaged and hostile files, and only another process can be bounded in time and memory.
"""
