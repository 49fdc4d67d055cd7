"""What an item is: kinds, JSON, checks, files."""
