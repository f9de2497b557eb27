"""A store as a Parquet file that says what it is, and a store made of such a file, with the same digest."""
