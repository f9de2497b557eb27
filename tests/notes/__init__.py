"""The example application: its pages, its start, its migrations, and what a browser makes of it."""
