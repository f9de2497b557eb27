"""PostgreSQL with pgvector: one table for each generation, one statement for each data method."""
