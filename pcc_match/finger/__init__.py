"""Fingerprints: templates of minutiae and their comparison."""

from pcc_match.finger.template import FingerTemplate, MinutiaSet

__all__ = ["FingerTemplate", "MinutiaSet"]
