"""Every place that holds a person's data, each in a class of its own that can erase it."""
