"""Fingerprints: templates of minutiae, their extraction from images, their comparison, galleries and searches."""

from pcc_match.finger.calibration import Calibration, calibration, threshold_for
from pcc_match.finger.columns import FingerColumns
from pcc_match.finger.compare import Comparison, SetComparison, compare, score_matrix
from pcc_match.finger.extract import Examination, SingularPoint, examine, extract
from pcc_match.finger.extract_records import templates_of
from pcc_match.finger.gallery import FingerGallery
from pcc_match.finger.prints import FingerRecord, PrintColumns
from pcc_match.finger.search import FingerMatch, FingerMatcher, FingerSearchResult
from pcc_match.finger.slap import SlapFinger, examine_slap, extract_slap
from pcc_match.finger.template import FingerTemplate, MinutiaSet

__all__ = [
    "Calibration",
    "Comparison",
    "Examination",
    "FingerColumns",
    "FingerGallery",
    "FingerMatch",
    "FingerMatcher",
    "FingerRecord",
    "FingerSearchResult",
    "FingerTemplate",
    "MinutiaSet",
    "PrintColumns",
    "SetComparison",
    "SingularPoint",
    "SlapFinger",
    "calibration",
    "compare",
    "examine",
    "examine_slap",
    "extract",
    "extract_slap",
    "score_matrix",
    "templates_of",
    "threshold_for",
]
