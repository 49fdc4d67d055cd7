"""What waits, in memory and on disk."""
