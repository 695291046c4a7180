"""Synthetic and real data sets; each has a card."""
