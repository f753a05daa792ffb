"""auditor: proves, or refutes, what a company publishes about its own security."""

__version__ = "0.1.0"
