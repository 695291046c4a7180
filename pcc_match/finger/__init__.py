"""Fingerprints: templates of minutiae and their comparison."""

from pcc_match.finger.columns import FingerColumns
from pcc_match.finger.compare import Comparison, SetComparison, compare, score_matrix
from pcc_match.finger.extract import Examination, SingularPoint, examine, extract
from pcc_match.finger.template import FingerTemplate, MinutiaSet

__all__ = [
    "Comparison",
    "Examination",
    "FingerColumns",
    "FingerTemplate",
    "MinutiaSet",
    "SetComparison",
    "SingularPoint",
    "compare",
    "examine",
    "extract",
    "score_matrix",
]
