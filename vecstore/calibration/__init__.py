"""The search effort with which an index reaches its target recall, and how recall is measured."""
