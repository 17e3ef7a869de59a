"""Secrets from files, as Docker, Kubernetes and systemd hand them out: a folder with one file a variable."""

from __future__ import annotations

import os
import re
from pathlib import Path

FOLDER = "CAVIAR_SECRETS"
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


def read_into_environment() -> None:
    """Sets each variable that a file in the folder CAVIAR_SECRETS is named after; what is set already wins.

    Files with other names, such as a token that is named by its path, are left alone. ValueError, without any secret
    in it, where the folder or a file cannot be read.
    """
    folder = os.environ.get(FOLDER)
    if not folder:
        return
    try:
        for file in sorted(Path(folder).iterdir()):
            if VARIABLE.fullmatch(file.name) and file.is_file():
                os.environ.setdefault(file.name, file.read_text().rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ValueError(
            f"{FOLDER}={folder} must be a folder of readable files, one a variable such as AWS_SECRET_ACCESS_KEY: "
            f"{getattr(error, 'filename', None) or folder}: {why}"
        ) from None
