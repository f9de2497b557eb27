"""Redis with its search module, from this machine or from a wheel."""
