"""Sources: one module or package per kind of target, each with a constant `SOURCE`. The only I/O of an audit."""
