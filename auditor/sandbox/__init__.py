"""The demo world: real servers on loopback, started and stopped by us."""
