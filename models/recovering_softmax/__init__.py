"""Which variant a recipient gets where nothing is known of them: arms against the others, recovering after use."""
