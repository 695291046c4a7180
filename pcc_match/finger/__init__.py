"""Fingerprints: templates, their comparison, galleries and searches."""
