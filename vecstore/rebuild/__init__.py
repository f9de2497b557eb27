"""Rebuild: a new generation beside the active one, filled while writes go on, then switched to."""
