"""Bytes of files, and what kind they are."""
