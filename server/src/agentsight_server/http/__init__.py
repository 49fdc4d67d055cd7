"""What concerns every request."""
