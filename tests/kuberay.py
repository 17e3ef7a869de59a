"""A strict schema of the fields of a RayCluster that deploy/ uses, by hand: KubeRay's own lets every misspelling pass.

After the reference of KubeRay 1.6 (ray.io/v1). What has the type of a Kubernetes object is checked as that object.
"""

from __future__ import annotations

from typing import Any

import jsonschema
import kubernetes_validate

VERSION = "1.34"
TEXT, NUMBER, FLAG = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
ANY = {"type": "object"}  # checked as a pod template
PARAMETERS = {"type": "object", "additionalProperties": TEXT}  # a number there is refused by the operator


def _strict(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


AUTH = _strict(("mode",), mode={"enum": ["token"]}, secretName=TEXT)
AUTOSCALER = _strict(
    upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
    idleTimeoutSeconds=NUMBER,
    securityContext=ANY,
    resources=ANY,
    volumeMounts={"type": "array"},
)
HEAD = _strict(
    ("rayStartParams", "template"),
    serviceType={"enum": ["ClusterIP"]},
    rayStartParams=PARAMETERS,
    template=ANY,
)
WORKERS = _strict(
    ("groupName", "minReplicas", "maxReplicas", "rayStartParams", "template"),
    groupName=TEXT,
    replicas=NUMBER,
    minReplicas=NUMBER,
    maxReplicas=NUMBER,
    rayStartParams=PARAMETERS,
    template=ANY,
)
CLUSTER = _strict(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayCluster"},
    metadata=_strict(("name",), name=TEXT, namespace=TEXT, labels=PARAMETERS),
    spec=_strict(
        ("rayVersion", "headGroupSpec", "workerGroupSpecs"),
        rayVersion=TEXT,
        authOptions=AUTH,
        enableInTreeAutoscaling=FLAG,
        autoscalerOptions=AUTOSCALER,
        headGroupSpec=HEAD,
        workerGroupSpecs={"type": "array", "items": WORKERS, "minItems": 1},
    ),
)


def validate(cluster: dict[str, Any]) -> None:
    """jsonschema's or kubernetes_validate's ValidationError where something is missing, misspelt or of a wrong type."""
    jsonschema.validate(cluster, CLUSTER)
    spec = cluster["spec"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": group["template"]}
        kubernetes_validate.validate(template, VERSION, strict=True)
    options = {key: spec["autoscalerOptions"][key] for key in ("securityContext", "resources", "volumeMounts")}
    container = {"name": "x", "image": "x", **options}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [container]}}
    kubernetes_validate.validate(pod, VERSION, strict=True)
