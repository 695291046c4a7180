"""Exact, fast comparison of DNA profiles and fingerprints for Prüm-style exchange."""
