"""What every report says of itself, and what is told of every evidence item: fixed texts, in one place."""

DISCLAIMER = (
    "Evidence prepared by management as of the time stated. It is not a SOC 2 report, an examination or an opinion: "
    "only the service auditor concludes. What was true at one point in time does not show operation over a period."
)

SEAL_LIMITS = (
    "The seal shows any change by anyone without the private key. It does not show what the holder of the key does: a "
    "bad run deleted from the end of the chain, or the best of three runs kept. Only an anchor outside of the company "
    "helps against that: a time-stamp authority (RFC 3161), or the head of the chain (`auditor keys head`) sent to the "
    "auditor after each run. A time stamp shows that the evidence was there by then, not how long before, and not that "
    "no other run was thrown away: that takes the heads. Without a time stamp every date rests on the clock of the "
    "machine that made the run. Which key is the company's own must be learnt from the company, not from these files: "
    "compare its fingerprint."
)
"""What the seal cannot show, said plainly."""
PSEUDONYMOUS = (
    "E-mail addresses in evidence and findings are pseudonyms: a keyed hash, the same for an address in every run of "
    "this organization. Its policies are kept as they are."
)

FACTS = (
    "System",
    "Account",
    "Asked as",
    "Asked by",
    "Operation",
    "Parameters",
    "Effect",
    "Answer",
    "Asked at",
    "Answered at",
    "System's clock",
    "Page",
    "Items",
    "Attempts",
    "Scope declared",
    "Scope reached",
    "SHA-256 on the wire",
    "SHA-256 of the line",
    "Redacted",
    "Pseudonyms",
)
"""What is told of every evidence item, in this order; none is ever empty."""
