"""When a recipient is there: an activity profile of the week, pooled between the person, people alike and everybody."""
