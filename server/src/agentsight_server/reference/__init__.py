"""Bundled look-up tables: places of addresses, prices of models."""
