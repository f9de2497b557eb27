"""Servers that tests and benchmarks start. They are not part of the package."""


class NoServer(Exception):
    """No server can be started, and the message says what to install."""
