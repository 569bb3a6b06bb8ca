"""push --from=DIR --image=REF [--credentials=DIR] [--annotation=KEY=VALUE …]: an adapter becomes an image."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import outcome
from ..outcome import RuntimeFailure, log
from . import artifact
from .annotations import collect_annotations
from .credentials import Credential, Unusable, candidates
from .errors import Denied, NotFound, Refused, Unavailable
from .patience import PATIENCE_SECONDS
from .reference import Reference, parse
from .registry import RegistryClient
from .upload import CHUNK_BYTES


def main() -> None:
    outcome.run(program)


def program(arguments: Sequence[str] | None = None, *, patience_seconds: float = PATIENCE_SECONDS) -> Mapping[str, Any]:
    """What the program does; returns its result."""
    parser = outcome.ArgumentParser(prog="push", description="Pushes an adapter as an OCI image.")
    parser.add_argument("--from", dest="folder", type=Path, required=True, help="folder with the adapter")
    parser.add_argument("--image", required=True, help="registry/repository:tag")
    parser.add_argument("--credentials", type=Path, help="folder with Docker config files, *.json")
    parser.add_argument("--annotation", action="append", default=[], help="KEY=VALUE, any number of times")
    options = parser.parse_args(arguments)

    reference = parse(options.image)
    if reference.digest is not None:
        raise RuntimeFailure("InvalidInput", f"image {options.image!r} has a digest; a push is to a tag")
    artifact.check(options.folder)
    with tempfile.TemporaryDirectory(prefix="push-") as work:
        made = artifact.build(options.folder, Path(work), collect_annotations(options.folder, options.annotation))
        log(f"{made.digest}: {made.layer.size:,} bytes in one layer")
        sent = _push(made, reference, options.credentials, patience_seconds)
    log(f"{reference} is {made.digest}; {sent:,} bytes were sent")
    return {"image": str(reference), "digest": made.digest, "sent": sent}


def _push(made: artifact.Artifact, reference: Reference, credentials: Path | None, patience_seconds: float) -> int:
    """Bytes sent. Each credential is tried until the registry takes one."""
    tried: list[str] = []
    for candidate in candidates(credentials, reference):
        if isinstance(candidate, Unusable):
            tried.append(f"{candidate.source} {candidate.reason}")
            continue
        try:
            return _push_as(candidate, made, reference, patience_seconds)
        except (Denied, NotFound) as error:
            # Registries that hide what a stranger may not see answer 404.
            tried.append(f"{candidate.source}: {error}")
            log(f"{reference.name}: not as {candidate.source}: {error}")
        except Unavailable as error:
            raise RuntimeFailure(
                "RegistryUnavailable",
                f"registry {reference.registry} cannot take {reference}: {error}",
                retryable=True,
            ) from error
        except Refused as error:
            raise RuntimeFailure(
                "InvalidInput",
                f"registry {reference.registry} refuses {reference}: {error}",
                remedy="Correct tuning.output.image, or ask the registry's operator what it does not take.",
            ) from error
    raise RuntimeFailure(
        "RegistryDenied",
        f"registry {reference.registry} lets none of these push to {reference.repository}: {'; '.join(tried)}",
        remedy=f"Give tuning.output.imagePushSecret a credential that may push to {reference.name}.",
        retryable=True,
    )


def _push_as(credential: Credential, made: artifact.Artifact, reference: Reference, patience_seconds: float) -> int:
    client = RegistryClient(reference, credential, patience_seconds=patience_seconds)
    if client.manifest_digest() == made.digest:
        log(f"{reference} already is {made.digest}")
        return 0
    for blob in (made.layer, made.config):
        client.upload_blob(str(blob.file), client.container, blob.descriptor, do_chunked=True, chunk_size=CHUNK_BYTES)
    client.put_manifest(made.manifest)
    return client.bytes_sent
