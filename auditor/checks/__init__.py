"""Checks: one file each, named as the check's id, with a constant `CHECK`. No input or output, no clock."""
