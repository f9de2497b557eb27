"""``postgresql+embedded:``, a PostgreSQL server that vecstore starts and stops."""
