"""What keeps a process offline: the guard, which explains refusals. The contracts of codex_core never import this."""
