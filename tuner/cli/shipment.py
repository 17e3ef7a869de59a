"""What a submission takes along: the spec, the small data that lie beside it, and the package that checked them."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from models.errors import DataError
from tuner.data.formats import READERS
from tuner.data.source import find_files
from tuner.spec import Spec
from tuner.spec.secrets import holds_secret

PACKAGES = ("tuner", "models", "cluster")
LARGEST = 100_000_000  # bytes of data: Ray's dashboard takes 100 MiB at once
ELSEWHERE = "have them where all its machines find them, and name them by an absolute path or a URI"


@dataclass(frozen=True, slots=True)
class Shipment:
    """A folder with what the job reads; `packages` are folders of Python."""

    folder: Path
    packages: tuple[Path, ...]


@contextmanager
def packed(spec: Spec | None, *, ship_packages: bool) -> Iterator[Shipment]:
    """The shipment for the time of the block: `spec.yaml` and the data that it names by relative paths.

    None is for a sweep that the cluster has: only the package goes there. ValueError where the spec holds a password,
    or names files here that are none, no data or too large.
    """
    if spec:
        _refuse_secrets(spec)
    with TemporaryDirectory(prefix="caviar-submit-") as name:
        folder = Path(name) / "job"
        folder.mkdir()
        text = _with_data(spec, folder).to_yaml() if spec else "# the sweep has its spec already\n"
        (folder / "spec.yaml").write_text(text, encoding="utf-8")  # also because Ray sends no empty folder
        yield Shipment(folder, tuple(_copy(package, Path(name)) for package in PACKAGES if ship_packages))


def _with_data(spec: Spec, folder: Path) -> Spec:
    """Links the files that lie here into `folder`; the spec that finds them there."""
    sources = spec.data.source or ()
    own = [source for source in sources if _is_here(source)]
    if not own:
        return spec
    here = Path.cwd()
    up = max(Path(os.path.normpath(source)).parts.count("..") for source in own)
    root = [here, *here.parents][: up + 1][-1]
    escaped = {source: os.path.normpath(Path(glob.escape(str(here)), source)) for source in own}
    _link({path for source in own for path in _found(source, escaped[source])}, root, folder)
    moved = {source: os.path.relpath(path, glob.escape(str(root))) for source, path in escaped.items()}
    data = spec.data.model_copy(update={"source": tuple(moved.get(source, source) for source in sources)})
    return spec.model_copy(update={"data": data})


def _is_here(source: str) -> bool:
    """Whether `source` is a relative path; a variable at its beginning stands for what the cluster has."""
    return "://" not in source and "::" not in source and not source.startswith(("/", "~", "${"))


def _found(source: str, pattern: str) -> list[str]:
    try:
        return [path for _, path in find_files([pattern])]
    except DataError:
        text = f"no file here matches {source!r}; relative paths are sent from {Path.cwd()}"
        raise ValueError(f"data.source: {text}. If it means files of the cluster, {ELSEWHERE}") from None


def _link(paths: Iterable[str], root: Path, folder: Path) -> None:
    """Has `folder` hold the files below `root`, in the places that they have there."""
    total = sum(Path(path).stat().st_size for path in paths)
    if total > LARGEST:
        text = f"the files it names here have {total / 1e6:,.0f} MB, and at most {LARGEST / 1e6:,.0f} MB can be sent"
        raise ValueError(f"data.source: {text} to a cluster: {ELSEWHERE}")
    for path in map(Path, paths):
        if path.with_name(path.name.removesuffix(".gz")).suffix.lower() not in READERS:
            raise ValueError(f"data.source: a file must end in one of {', '.join(READERS)}, and {path} does not")
        link = folder / path.relative_to(root)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)


def _copy(package: str, folder: Path) -> Path:
    """The package without what Python and tools leave in it."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ValueError(f"the package {package} is not installed here: install Caviar again, or use --no-ship")
    waste = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    return Path(shutil.copytree(found.submodule_search_locations[0], folder / package, ignore=waste))


def _refuse_secrets(spec: Spec) -> None:
    for key, text in _texts(spec.model_dump(mode="json", by_alias=True)):
        if holds_secret(text):
            raise ValueError(
                f"{key}: holds a password, and a submission can be read by all who see the cluster's dashboard. Set it "
                "in the environment of the cluster, and write ${NAME} here (or leave out tracking.uri)"
            )


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """The dotted key and text of all texts in plain data."""
    match value:
        case str():
            yield key, value
        case dict():
            for name, inner in value.items():
                yield from _texts(inner, f"{key}.{name}" if key else str(name))
        case list():
            for inner in value:
                yield from _texts(inner, key)
