"""The index as a derived file: when it is built, what it covers, how it is checked."""
