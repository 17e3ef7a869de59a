"""What a table seems to hold, before there is a spec: the guesses of `caviar init`, each with its reason in words."""
