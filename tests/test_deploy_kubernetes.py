"""The manifests: every object strictly valid, every pod contained, and who reaches whom."""

from __future__ import annotations

import shutil
from copy import deepcopy

import jsonschema
import kubernetes_validate
import pytest

from cluster import nodes
from tests import commands, kuberay
from tests.manifests import FOLDER, NAME, SECRETS, Object, built, only, templates
from tuner.retune.loading import load_policy

needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="needs kubectl")
both = pytest.mark.parametrize("folder", ["base", pytest.param("example", marks=needs_kubectl)])


@both
def test_every_object_is_strictly_valid(folder: str) -> None:
    objects = built(folder)
    for one in objects:
        if one["kind"] == "RayCluster":
            kuberay.validate(one)
        else:
            kubernetes_validate.validate(one, kuberay.VERSION, strict=True)
    assert {"RayCluster", "CronJob", "StatefulSet", "Deployment", "NetworkPolicy"} <= {one["kind"] for one in objects}


def test_a_misspelling_in_a_ray_cluster_is_found() -> None:
    """Wherever it is; so the test above means something."""
    cluster = only(built("base"), "RayCluster", "caviar")
    for change in (misspell_a_field, misspell_the_mode, misspell_in_a_pod, misspell_for_the_autoscaler, give_a_number):
        wrong = deepcopy(cluster)
        change(wrong["spec"])
        with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
            kuberay.validate(wrong)


def misspell_a_field(spec: Object) -> None:
    spec["enableIntreeAutoscaling"] = spec.pop("enableInTreeAutoscaling")


def misspell_the_mode(spec: Object) -> None:
    spec["authOptions"]["mode"] = "tokens"


def misspell_in_a_pod(spec: Object) -> None:
    container = spec["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]
    container["securityContext"]["readonlyRootFilesystem"] = container["securityContext"].pop("readOnlyRootFilesystem")


def misspell_for_the_autoscaler(spec: Object) -> None:
    spec["autoscalerOptions"]["resources"]["request"] = spec["autoscalerOptions"]["resources"].pop("requests")


def give_a_number(spec: Object) -> None:
    spec["headGroupSpec"]["rayStartParams"]["num-cpus"] = 0


@both
def test_a_pod_can_do_no_more_than_it_must(folder: str) -> None:
    """What the namespace's level `restricted` demands, and a root that cannot be written."""
    objects = built(folder)
    found = dict(templates(objects))
    ours = {f"caviar-{name}" for name in ("mlflow", "postgres", "retune", "operator", "admit")}
    assert {"head", "cpu"} | ours <= set(found)
    for name, template in found.items():
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert spec.get("automountServiceAccountToken") is False or name == "head", "the autoscaler's is for the head"
        volumes = {volume["name"] for volume in spec["volumes"]} | {"data"}
        for container in spec["containers"]:
            contained(container["securityContext"], name)
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
            assert "memory" in container["resources"]["limits"], name
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes, name
    contained(only(objects, "RayCluster", "caviar")["spec"]["autoscalerOptions"]["securityContext"], "autoscaler")


def contained(context: Object, name: str) -> None:
    drops = {"capabilities": {"drop": ["ALL"]}, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}
    assert context == drops, name


@both
def test_everything_that_is_named_is_there(folder: str) -> None:
    """Config maps, secrets and their keys, services; and images have a version."""
    objects = built(folder)
    maps = {one["metadata"]["name"] for one in objects if one["kind"] == "ConfigMap"}
    for name, template in templates(objects):
        spec = template["spec"]
        for container in spec["containers"]:
            sources = container.get("envFrom", [])
            assert {one["configMapRef"]["name"] for one in sources if "configMapRef" in one} <= maps, name
            assert {one["secretRef"]["name"] for one in sources if "secretRef" in one} <= set(SECRETS), name
            assert ":" in container["image"] or not shutil.which("kubectl"), name
            assert not container["image"].endswith(":latest"), name
        for volume in spec["volumes"]:
            parts = [volume["secret"]] if "secret" in volume else volume.get("projected", {}).get("sources", [])
            for part in (one.get("secret", one) for one in parts):
                keys = {item["key"] for item in part.get("items", [])}
                assert keys <= SECRETS[part.get("secretName") or part["name"]], name
            if "configMap" in volume and folder == "example":
                assert volume["configMap"]["name"] in maps, name
    services = {one["metadata"]["name"] for one in objects if one["kind"] == "Service"} | {"caviar-head-svc"}
    for ingress in (one for one in objects if one["kind"] == "Ingress"):
        paths = [path for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
        assert {path["backend"]["service"]["name"] for path in paths} <= services


@both
def test_the_commands_are_taken_and_ray_is_started_as_elsewhere(folder: str) -> None:
    objects = built(folder)
    for _, template in templates(objects):
        for container in template["spec"]["containers"]:
            words = container.get("args", [])
            assert words[:1] != ["caviar"] or commands.refusal(words[1:]) == ""
            if container["name"].startswith("ray-"):
                given = {one["name"]: one.get("value") for one in container["env"]}
                assert given == {name: value for name, value in nodes.ENVIRONMENT.items() if name != "RAY_AUTH_MODE"}
    spec = only(objects, "RayCluster", "caviar")["spec"]
    import ray

    assert spec["rayVersion"] == ray.__version__
    assert spec["authOptions"] == {"mode": "token", "secretName": "caviar-ray-token"}
    assert spec["enableInTreeAutoscaling"] is True
    assert set(spec["headGroupSpec"]["rayStartParams"]) <= commands.options_of_ray_start()


@both
def test_ticks_come_one_at_a_time_and_are_not_missed_for_ever(folder: str) -> None:
    spec = only(built(folder), "CronJob", "caviar-retune")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["startingDeadlineSeconds"] >= 600  # below, 100 missed ticks would stop it for good
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] >= 3600
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert 0 < spec["successfulJobsHistoryLimit"] <= spec["failedJobsHistoryLimit"] <= 10
    assert spec["suspend"] is (folder == "base")


@both
def test_who_types_in_the_operator_is_who_a_tick_is(folder: str) -> None:
    """The same database, secrets, policies and label; so what a tick can do, `kubectl exec` can."""
    found = dict(templates(built(folder)))
    tick, operator = (pod(found[name]) for name in ("caviar-retune", "caviar-operator"))
    assert operator == tick
    assert operator["containers"][0]["env"]


def pod(template: Object) -> Object:
    """What a template says, without what a tick and a pod that sleeps cannot have in common."""
    spec = deepcopy(template["spec"])
    for key in ("restartPolicy", "terminationGracePeriodSeconds"):
        spec.pop(key, None)
    (container,) = spec["containers"]
    for key in ("name", "args"):
        del container[key]
    del container["resources"]["requests"]
    return {**spec, NAME: template["metadata"]["labels"][NAME]}


@both
def test_what_is_selected_for_exec_is_one_kind_of_pod(folder: str) -> None:
    """`kubectl exec deploy/…` takes any pod with the labels, a tick's as well."""
    objects = built(folder)
    labels = {name: template["metadata"]["labels"].items() for name, template in templates(objects)}
    for one in (one for one in objects if one["kind"] in ("Deployment", "StatefulSet")):
        wanted = one["spec"]["selector"]["matchLabels"].items()
        assert [name for name, has in labels.items() if wanted <= has] == [one["metadata"]["name"]]


def test_the_example_has_a_policy_that_is_taken() -> None:
    policy, spec = load_policy(FOLDER / "example/policy.yaml")
    assert policy.run.address == "http://caviar-head-svc:8265"
    assert spec.data.time


# -- who reaches whom ----------------------------------------------------------------------------------------------

PODS = ("caviar-ray", "caviar-mlflow", "caviar-postgres", "caviar-retune", "caviar-admit", "stranger")
WAYS = {
    ("caviar-ray", "caviar-ray", 6379),
    ("caviar-ray", "caviar-ray", 10002),
    ("caviar-ray", "caviar-ray", 8265),
    ("caviar-retune", "caviar-ray", 8265),
    ("caviar-ray", "caviar-mlflow", 5000),
    ("caviar-retune", "caviar-mlflow", 5000),
    ("caviar-admit", "caviar-mlflow", 5000),
    ("caviar-mlflow", "caviar-postgres", 5432),
    ("caviar-retune", "caviar-postgres", 5432),
}


@both
def test_ports_are_closed_to_all_but_who_needs_them(folder: str) -> None:
    policies = [one["spec"] for one in built(folder) if one["kind"] == "NetworkPolicy"]
    ports = (6379, 10002, 8265, 10001, 52365, 5000, 5432, 22)
    ways = {(a, b, port) for a in PODS for b in PODS for port in ports if passes(policies, a, b, port)}
    within_ray = {("caviar-ray", "caviar-ray", port) for port in ports}  # Ray chooses ports of its own
    assert ways == WAYS | within_ray


def passes(policies: list[Object], source: str, target: str, port: int) -> bool:
    """Whether a pod of this namespace reaches another, as Kubernetes decides it."""
    out = [one for one in policies if "Egress" in one["policyTypes"] and selects(one["podSelector"], source)]
    into = [one for one in policies if "Ingress" in one["policyTypes"] and selects(one["podSelector"], target)]
    leaves = not out or any(lets(rule, "to", target, port) for one in out for rule in one.get("egress", []))
    enters = not into or any(lets(rule, "from", source, port) for one in into for rule in one.get("ingress", []))
    return leaves and enters


def lets(rule: Object, side: str, pod: str, port: int) -> bool:
    peers = rule.get(side)
    ports = [one["port"] for one in rule.get("ports", [])]
    known = peers is None or any("namespaceSelector" not in one and selects(one["podSelector"], pod) for one in peers)
    return known and (not ports or port in ports)


def selects(selector: Object, name: str) -> bool:
    wanted = selector.get("matchLabels", {}).get(NAME, name)
    listed = [one["values"] for one in selector.get("matchExpressions", []) if one["key"] == NAME]
    return bool(wanted == name and all(name in values for values in listed))


def test_pods_carry_the_names_that_the_policies_select() -> None:
    found = {template["metadata"]["labels"][NAME] for _, template in templates(built("base"))}
    assert found == set(PODS) - {"stranger"}
