"""All of deploy/compose.yaml, up and down as `docker compose` does it, on containers of namespaces."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from pathlib import Path

from tests import compose
from tests.containers import Container
from tests.hosts import Host, Network

PREFIXES = {"inside": "10.81.0", "outside": "10.82.0"}
SECONDS = 150.0
GRACE_SECONDS = 10.0  # Docker's own


class Deployment:
    """The services of the files. `folder` is a copy of deploy/ with .env, in which secrets and volumes come to be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = compose.load(compose.variables(folder))
        self.running: dict[str, Container] = {}
        self._once: Container | None = None
        self._networks = {name: Network(name, prefix, folder) for name, prefix in PREFIXES.items()}
        self._numbers = {name: number for number, name in enumerate(self.file["services"], 10)}

    @property
    def services(self) -> list[str]:
        """Those without a profile, and those of the profiles in .env."""
        profiles = set(compose.variables(self.folder).get("COMPOSE_PROFILES", "").split(","))
        found = self.file["services"].items()
        return [name for name, one in found if profiles & set(one.get("profiles", profiles))]

    def up(self, *names: str) -> None:
        """Starts services, each as soon as what it depends on is ready, and waits until all are. None named are all."""
        wanted = self._with_needs(names or self.services)
        ready = {name for name in wanted if name in self.running}
        until = time.monotonic() + SECONDS
        while waiting := wanted - ready:
            for name in waiting - set(self.running):
                if self._needs(name) <= ready:
                    self._start(name)
            ready |= {name for name in waiting & set(self.running) if self._is_ready(self.running[name])}
            late = {name: self.running[name].said() for name in waiting & set(self.running)}
            assert time.monotonic() < until, f"not ready in {SECONDS:.0f} seconds: {late}"
            time.sleep(2)  # a look costs a second of a core

    def once(self, name: str) -> Container:
        """A container of the service beside the one that may run, for a single command. There is one at a time."""
        self._unplug_once()
        self._once = self._made(name, f"{name}-once", self._numbers[name] + 100)
        return self._once

    def stop(self, *names: str) -> None:
        """Tells services to end, and then ends what is left of them. None named are all."""
        self._unplug_once()
        ending = [self.running.pop(name) for name in list(self.running) if name in (names or self.running)]
        for container in ending:
            container.terminate()
        until = time.monotonic() + GRACE_SECONDS
        for container in ending:
            container.end(max(0.0, until - time.monotonic()))
            for network in self._of(container.name):
                self._networks[network].unplug(container.host.name)

    def forget(self, volume: str = "") -> None:
        """What is stored in the volume is gone; none named are all."""
        shutil.rmtree(self.folder / "volumes" / volume)

    def close(self) -> None:
        """Ends everything at once."""
        self._unplug_once()
        for container in self.running.values():
            container.host.kill()
        for network in self._networks.values():
            network.kill()

    def client(self) -> Host:
        """A machine outside, for which the published names lead to the proxy."""
        host = Host("client", self.folder)
        self._networks["outside"].plug(host, 200)
        variables = self.file["services"]["proxy"]["environment"]
        names = [name for variable, name in variables.items() if variable.endswith("_NAME")]
        (self.folder / "hosts").write_text(f"{self.address('proxy', 'outside')} {' '.join(names)}\n")
        host.run("mount", "--bind", str(self.folder / "hosts"), "/etc/hosts")
        return host

    def address(self, name: str, network: str) -> str:
        return f"{PREFIXES[network]}.{self._numbers[name]}"

    def _start(self, name: str) -> None:
        self.running[name] = self._made(name, name, self._numbers[name])
        self.running[name].start()

    def _made(self, name: str, called: str, number: int) -> Container:
        service = self.file["services"][name]
        container = Container(called, {"hostname": called, **service}, self.folder / "containers" / called)
        for network in self._of(name):
            self._networks[network].plug(container.host, number)
        container.host.run("ip", "link", "set", "dev", "lo", "up")
        for setting, value in service.get("sysctls", {}).items():
            container.host.run("sysctl", "-w", f"{setting}={value}")
        container.make_root(self._hosts(name), self._mounts(name))
        return container

    def _unplug_once(self) -> None:
        if self._once:
            self._once.host.kill()
            for network in self._networks.values():
                network.unplug(self._once.host.name)
            self._once = None

    def _is_ready(self, container: Container) -> bool:
        """Whether it is healthy, or has ended, and well, where it has no health check."""
        if "healthcheck" in container.service:
            return container.is_healthy()
        assert not container.exit_code(), f"{container.name}: {container.said()}"
        return container.exit_code() == 0

    def _needs(self, name: str) -> set[str]:
        return set(self.file["services"][name].get("depends_on", ()))

    def _with_needs(self, names: Collection[str]) -> set[str]:
        found = set(names).union(*(self._needs(name) for name in names))
        return found if found == set(names) else self._with_needs(found)

    def _of(self, name: str) -> list[str]:
        return list(self.file["services"][name]["networks"])

    def _hosts(self, name: str) -> str:
        """The names that a container knows: its own, and those of the others in its networks."""
        lines = ["127.0.0.1 localhost"]
        for network in self._of(name):
            others = [one for one in self._numbers if network in self._of(one)]
            lines += [f"{self.address(one, network)} {one}" for one in others]
        return "\n".join(lines) + "\n"

    def _mounts(self, name: str) -> dict[str, Path]:
        """What the service mounts: the path in the container, and the path here."""
        service = self.file["services"][name]
        secrets = {one: self.folder / self.file["secrets"][one]["file"] for one in service.get("secrets", [])}
        found = {f"/run/secrets/{one}": file for one, file in secrets.items()}
        writable = ["/var/lib/caviar", "/var/tmp"] if "build" in service else []  # noqa: S108  # the image's VOLUME
        found |= {path: self.folder / "volumes" / f"{name}-{Path(path).name}" for path in writable}
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            named = source in self.file["volumes"]
            found[target] = self.folder / ("volumes" if named else "") / source
        for path in found.values():
            if path.is_relative_to(self.folder / "volumes"):
                path.mkdir(parents=True, exist_ok=True)
        return found
