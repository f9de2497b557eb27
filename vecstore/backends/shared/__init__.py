"""What several backends need and no engine decides: rules above an engine, below the facade."""
