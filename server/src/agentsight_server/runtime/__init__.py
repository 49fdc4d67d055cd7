"""What a running process has: threads with bounds, logs, and words for outages."""
