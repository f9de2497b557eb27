"""From the records of a user to rows that a backend can write."""
