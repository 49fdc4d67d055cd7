"""Ingest: every wire form becomes the same checked items, and one writer commits them."""
