"""DNA profiles: loci, profiles, the comparison rule, files and galleries."""
