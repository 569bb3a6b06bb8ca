"""Prints which Python packages this interpreter finds, as SPDX 2.3 (JSON).

It needs nothing but the standard library, so that what lists the packages adds none.
SOURCE_DATE_EPOCH, where set, is told as the time.
"""

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from urllib.parse import quote

DOCUMENT = "SPDXRef-DOCUMENT"


def document(found: Iterable[Distribution], created_at: float) -> dict[str, object]:
    """The list of these packages; the same package at two places of the path, in two versions, is listed twice."""
    packages = {str(package["SPDXID"]): package for package in map(_package, found)}
    listed = [packages[spdx_id] for spdx_id in sorted(packages)]
    digest = hashlib.sha256("\n".join(sorted(packages)).encode()).hexdigest()
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": "python-packages",
        "documentNamespace": f"https://spdx.org/spdxdocs/python-packages-{digest}",
        "creationInfo": {
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created_at)),
            "creators": ["Tool: kaito-temporal-sbom-python"],
        },
        "packages": listed,
        "relationships": [
            {"spdxElementId": DOCUMENT, "relationshipType": "DESCRIBES", "relatedSpdxElement": package["SPDXID"]}
            for package in listed
        ],
    }


def _package(distribution: Distribution) -> dict[str, object]:
    # As the package index writes names: https://packaging.python.org/en/latest/specifications/name-normalization/
    name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
    version = distribution.version
    return {
        # SPDX allows letters, digits, "." and "-"; versions may have "+" and "!" besides.
        "SPDXID": f"SPDXRef-pypi-{name}-{re.sub(r'[^a-zA-Z0-9.-]', '-', version)}",
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": f"pkg:pypi/{name}@{quote(version, safe='')}",
            }
        ],
    }


def main() -> None:
    created_at = float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    json.dump(document(distributions(), created_at), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
