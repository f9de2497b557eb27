"""vecstore and its peers side by side: the same work, one process each, one after another."""
