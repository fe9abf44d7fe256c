"""Who of an audience gets which option, under limits that all of them share."""
