"""Who will stay away: the chance of no session in the month to come."""
