"""The scripts that the server runs."""
