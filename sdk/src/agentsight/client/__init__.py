"""What a bot holds in its hand: trackers, conversations, managers and readers."""
