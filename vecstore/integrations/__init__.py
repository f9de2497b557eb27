"""Adapters to frameworks, each in its module and behind an extra of that name. They use the public API only."""
