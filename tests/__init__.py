"""The tests: real counterparts, literals into the checks, and faults at every transport."""
