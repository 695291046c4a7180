"""`pm.compare`: two profiles, or two fingers."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from pcc_match.dna import rule as dna
from pcc_match.dna.profile import DnaProfile

if TYPE_CHECKING:
    from pcc_match import finger


@overload
def compare(a: DnaProfile, b: DnaProfile, rule: dna.Rule) -> dna.Comparison: ...
@overload
def compare(a: finger.FingerTemplate, b: finger.FingerTemplate, *, latent: bool | str = "") -> finger.Comparison: ...
def compare(
    a: DnaProfile | finger.FingerTemplate,
    b: DnaProfile | finger.FingerTemplate,
    rule: dna.Rule | None = None,
    *,
    latent: bool | str = "",
) -> dna.Comparison | finger.Comparison:
    """What two records of a kind have in common, with every partial sum and `explain()`.

    DnaProfiles are compared under a rule (pm.treaty(...).dna); see dna.rule.compare. FingerTemplates give an integer
    `score`, of which `latent` ("a" or "b", True means "a") says that one of them is a latent; see finger.compare.
    """
    if isinstance(a, DnaProfile) and isinstance(b, DnaProfile):
        if rule is None:
            raise TypeError("two DNA profiles are compared under a rule, such as pm.treaty('eu-2008-616').dna")
        return dna.compare(a, b, rule)
    from pcc_match import finger

    if isinstance(a, finger.FingerTemplate) and isinstance(b, finger.FingerTemplate):
        if rule is not None:
            raise TypeError("fingers are compared without a rule")
        return finger.compare(a, b, latent=latent)
    kinds = f"{type(a).__name__} and {type(b).__name__}"
    raise TypeError(f"compare takes two DnaProfiles or two FingerTemplates, not {kinds}")
