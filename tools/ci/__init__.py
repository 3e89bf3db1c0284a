"""The checks that continuous integration runs; each is also a script of hatch.toml."""
