"""Fingerprints: templates of minutiae and their comparison."""

from pcc_match.finger.extract import Examination, SingularPoint, examine, extract
from pcc_match.finger.template import FingerTemplate, MinutiaSet

__all__ = ["Examination", "FingerTemplate", "MinutiaSet", "SingularPoint", "examine", "extract"]
