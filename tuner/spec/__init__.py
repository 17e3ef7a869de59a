"""The spec: the one YAML file that describes a sweep, and the only validation of what users write."""

from tuner.spec.loading import from_mapping, load, parse
from tuner.spec.names import NAME, NAME_RULE
from tuner.spec.problems import Problem, SpecError
from tuner.spec.secrets import masked
from tuner.spec.spec import Spec, json_schema

__all__ = [
    "NAME",
    "NAME_RULE",
    "Problem",
    "Spec",
    "SpecError",
    "from_mapping",
    "json_schema",
    "load",
    "masked",
    "parse",
]
