"""Rebuild: fill a new generation beside the active one while writes continue, then switch to it."""
