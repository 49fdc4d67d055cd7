"""Words that every room shares: errors, times, zones."""
