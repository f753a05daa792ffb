"""Report formats: one file each, with a constant `REPORT`."""
