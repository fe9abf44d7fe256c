"""How often people will buy again, whether they still will, and for how much: BG/NBD with Gamma-Gamma."""
