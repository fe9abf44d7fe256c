"""Whom a treatment changes, from a randomised log; and when nobody can tell."""
