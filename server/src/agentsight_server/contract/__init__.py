"""What REST callers may rely on: the shapes of answers, links in them, and their documentation."""
