"""GitLab for auditor: a source, a check and a report format, found by their entry points."""
