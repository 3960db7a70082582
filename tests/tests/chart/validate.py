"""Checks manifests from standard input against the schemas of the Kubernetes versions named as arguments."""

import sys

import kubernetes_validate
import yaml

problems = []
unknown = set()
for manifest in filter(None, yaml.safe_load_all(sys.stdin)):
    for version in sys.argv[1:]:
        place = f"{version} {manifest['kind']} {manifest['metadata']['name']}"
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            unknown.add(manifest["kind"])
        except kubernetes_validate.ValidationError as error:
            problems.append(f"{place}: {error.message}")
print("kinds without a schema:", " ".join(sorted(unknown)))
sys.exit("\n".join(problems) or 0)
