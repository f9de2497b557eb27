"""The search effort with which an index reaches its target recall, and the measurement of recall."""
