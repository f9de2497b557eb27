"""What one commit of a generation holds, in rows.db and in memory, and how the next commit is made."""
