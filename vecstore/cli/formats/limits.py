"""What reading one document may cost. Above a limit the document is refused with a line that names it."""

from __future__ import annotations

MAX_TEXT_BYTES = 64 << 20
"""Bytes of a text file or a notebook."""

MAX_HTML_BYTES = 32 << 20
"""Bytes of an HTML file, whose tree takes thirty times as much memory."""

MAX_FILE_BYTES = 256 << 20
"""Bytes of a PDF, DOCX or EPUB file."""

MAX_UNPACKED_BYTES = 64 << 20
"""Bytes of all markup in a DOCX or EPUB file after unpacking."""

MAX_TEXT_CHARACTERS = 64 << 20
"""Characters of text taken from one document."""

MAX_DEPTH = 5_000
"""Elements of HTML within each other. Parsers need quadratic time on deeper ones."""

MAX_SECONDS = 120
"""Seconds for one document outside this process."""

MAX_MEMORY_BYTES = 2 << 30
"""Memory that the process which reads documents may take."""
