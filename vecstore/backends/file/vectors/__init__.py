"""Where the vectors of a generation are: immutable segments, and the rows that no segment holds yet."""
