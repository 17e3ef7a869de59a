"""What root types on a host with systemd is as a tick is: both started by a real systemd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import compose
from tests.booted import Booted, needs_booting

pytestmark = [needs_booting, pytest.mark.timeout(120)]

SECRETS = ("ray.token", "PGPASSWORD", "MLFLOW_TRACKING_PASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
OPERATOR = "/usr/local/sbin/caviar-operator"
# In place of caviar: what it is given and may do. What differs from unit to unit by its nature is left out.
TELL = """#!/bin/sh
{
    id
    pwd
    env | grep --invert-match --extended-regexp '^(INVOCATION_ID|SYSTEMD_EXEC_PID|LOGNAME)=' | sort
    head --verbose "$CAVIAR_SECRETS"/*
    grep --extended-regexp '^(Cap|NoNewPrivs|Seccomp)' /proc/self/status
    touch /etc/mine 2>&1
} | sed "s#$CREDENTIALS_DIRECTORY#CREDENTIALS#g" > "$CAVIAR_HOME/$2"
echo "$LOGNAME"
for word; do echo "<$word>"; done
exit 4
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    booted = Booted(tmp_path_factory.mktemp("booted"))
    try:
        booted.write("/opt/caviar/bin/caviar", TELL, "755")
        booted.write(OPERATOR, (compose.DEPLOY / "systemd/caviar-operator").read_text(), "755")
        booted.write("/etc/caviar/environment", (compose.DEPLOY / "systemd/environment.example").read_text())
        for name in SECRETS:
            booted.write(f"/etc/caviar/secrets/{name}", f"the {name}", "600")
        yield booted
    finally:
        booted.kill()


def test_who_types_is_who_a_tick_is(machine: Booted) -> None:
    """The same user, variables, secrets and limits."""
    machine.run("systemctl", "start", "caviar-retune@flights.service")
    assert machine.run(OPERATOR, "retune", "status").returncode == 4, "the command's own exit code"
    tick, typed = (machine.run("cat", f"/var/lib/caviar/retune/{name}").stdout for name in ("tick", "status"))
    assert typed == tick
    assert all(f"the {name}" in typed for name in SECRETS)
    assert "CAVIAR_DATABASE=postgresql" in typed
    assert "Read-only file system" in typed


def test_words_arrive_as_they_were_typed_and_the_trail_knows_who_did(machine: Booted) -> None:
    words = ("retune", "decline", "/etc/caviar/policies/a b.yaml", "--because", "it costs $5 or ${HOME} %d $$\n'more'")
    typed = machine.run(OPERATOR, *words, SUDO_USER="ada")
    assert typed.stdout == "\n".join(["ada", *(f"<{word}>" for word in words)]) + "\n"
