"""From what pydantic found to sentences for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType, NoneType
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tuner.spec.problems import ConflictError, Problem, nearest, shown
from tuner.spec.reading import Path
from tuner.spec.section import Section

_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "bool": "true or false",
        "float": "a number",
        "int": "a whole number",
        "string": "text",
        "tuple": "text, or a list of texts",
    }
)
_BOUNDS: Mapping[str, str] = MappingProxyType(
    {"greater_than_equal": "at least {ge:.15g}", "greater_than": "above {gt:.15g}"}
    | {"less_than_equal": "at most {le:.15g}", "less_than": "below {lt:.15g}", "finite_number": "a finite number"}
)


def problems_in(error: ValidationError, root: type[Section]) -> Iterator[tuple[Path, Problem]]:
    """Each problem of a `root` with the path of the field it is about; the path may be longer than the file goes."""
    for detail in error.errors(include_url=False):
        path = tuple(detail["loc"])
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, ConflictError):
            for key, text in cause.pairs:
                full = (*path, *filter(None, key.split(".")))
                yield full, Problem(_dotted(full), text)
        else:
            yield path, Problem(_dotted(path), _text(root, path, detail))


def _text(root: type[Section], path: Path, detail: ErrorDetails) -> str:
    raw, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            text = _unknown(root, path)
        case "value_error":
            text = str(context["error"])
        case "missing":
            text = f"missing: {_field(root, path).description}"
        case "string_too_short":
            text = f"must not be empty: {_field(root, path).description}"
        case "string_pattern_mismatch":
            text = f"{shown(raw)} does not fit: {_field(root, path).description}"
        case "literal_error":
            options = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
            text = f"must be one of {', '.join(options)}, got {shown(raw)}{nearest(str(raw), options)}"
        case "model_type" | "dict_type":
            text = f"must be a mapping with {', '.join(_names(_section(root, path)))}, got {shown(raw)}"
        case kind if kind in _BOUNDS:
            text = f"must be {_BOUNDS[kind].format(**context)}, got {shown(raw)}"
        case kind:
            text = f"must be {_KINDS.get(kind.split('_')[0], detail['msg'])}, got {shown(raw)}"
    return text


def _unknown(root: type[Section], path: Path) -> str:
    *parents, key = path
    section = _section(root, tuple(parents))
    siblings = _names(section)
    elsewhere = [_dotted(known) for known in _fields(root) if known[-1] == key]
    if elsewhere:
        return f"unknown key here; it belongs at {' or '.join(elsewhere)}"
    hint = nearest(str(key), siblings)
    return f"unknown key{hint}" if hint else f"unknown key; there are {', '.join(siblings)}"


def _names(section: type[Section]) -> list[str]:
    """Its fields as a spec has them."""
    return [field.alias or name for name, field in section.model_fields.items()]


def _fields(section: type[Section], parents: Path = ()) -> Iterator[Path]:
    for name, field in zip(_names(section), section.model_fields.values(), strict=True):
        yield (*parents, name)
        inner = _inner(field.annotation)
        if inner:
            yield from _fields(inner, (*parents, name))


def _section(root: type[Section], path: Path) -> type[Section]:
    section = root
    for name in path:
        section = _inner(section.model_fields[str(name)].annotation) or section
    return section


def _field(root: type[Section], path: Path) -> Any:
    return _section(root, path[:-1]).model_fields[str(path[-1])]


def _inner(annotation: Any) -> type[Section] | None:
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and kind is not NoneType and issubclass(kind, Section):
            return kind
    return None


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))
