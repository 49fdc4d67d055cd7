"""The store: rows of truth in SQLite or PostgreSQL. Statements live here and nowhere else."""
