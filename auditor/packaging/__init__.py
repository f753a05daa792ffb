"""The package for the auditor: runs, the pages that lead from each claim to the raw answers, and a seal over all."""
