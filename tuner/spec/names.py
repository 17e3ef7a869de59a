"""What specs and sweeps may be called."""

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
NAME_RULE = "letters, digits, '.', '_' and '-', at most 64, beginning with a letter or digit"
