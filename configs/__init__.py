"""The files that `redpen init` and `redpen demo` start from, shipped inside the wheel."""
