"""Every check, alone: literals into `evaluate`, and `collect` on a source that holds nothing but what a test wrote."""
