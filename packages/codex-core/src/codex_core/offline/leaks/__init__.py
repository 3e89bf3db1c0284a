"""The leak matrix: every known way out of a seal, tried from inside, and judged by who stands outside."""
