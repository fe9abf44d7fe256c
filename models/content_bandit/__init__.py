"""Which variant a recipient gets: a Bayesian logistic regression that learns as outcomes come, and how it explores."""
