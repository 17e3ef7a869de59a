"""The error of data that cannot be used; apart from what reads data, which takes half a second to import."""


class DataError(ValueError):
    """Data that cannot be used. The message names the rule, the value and the next step."""
