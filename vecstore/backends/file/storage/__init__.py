"""Files, locks and SQLite: everything that touches the operating system."""
