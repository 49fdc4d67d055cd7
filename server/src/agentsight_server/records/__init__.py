"""Conversations as records: import, export, tables."""
