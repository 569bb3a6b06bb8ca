"""Makes a Python environment with the plain build of torch smaller, for machines without a GPU: without_cuda.py SITE_PACKAGES

The package index has torch for Linux only with CUDA. torch's own libraries are linked against NVIDIA's (2.7 GB), so they cannot just be left out; but
without a GPU none of their code ever runs. Each of the large ones is replaced by a library with the same name and symbols and nothing in them, and what
is only opened at run time is removed. cudart stays: it is what says that there is no GPU.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# NVIDIA's libraries that torch's are linked against, below nvidia/.
LINKED = (
    "cu*/lib/libcublas.so.*",
    "cu*/lib/libcublasLt.so.*",
    "cu*/lib/libcufft.so.*",
    "cu*/lib/libcurand.so.*",
    "cu*/lib/libcusolver.so.*",
    "cu*/lib/libcusparse.so.*",
    "cu*/lib/libnvrtc.so.*",
    "cusparselt/lib/libcusparseLt.so.*",
    "nccl/lib/libnccl.so.*",
    "nvshmem/lib/libnvshmem_host.so.*",
)
# Opened at run time, for a GPU only, or of use to compilers only.
UNUSED = (
    "nvidia/cudnn/lib/libcudnn_*",
    "nvidia/cu*/lib/libnvJitLink*",
    "nvidia/cu*/lib/libcusolverMg*",
    "nvidia/cu*/lib/libnvblas*",
    "nvidia/cu*/lib/libcufftw*",
    "nvidia/cu*/lib/libnvrtc-builtins*",
    "nvidia/cu*/lib/libnvperf*",
    "nvidia/cu*/lib/*.alt.so.*",
    "nvidia/*/lib/*.a",
    "nvidia/*/lib/*.bc",
    "nvidia/nvshmem/lib/nvshmem_*",
    "nvidia/*/include",
    "bitsandbytes/libbitsandbytes_cuda*",
    "bitsandbytes/libbitsandbytes_rocm*",
    "bitsandbytes/libbitsandbytes_xpu*",
    # Its metadata stays: torch asks for triton, and pip would install it again.
    "triton",
)


def main(site_packages: Path) -> None:
    for pattern in UNUSED:
        for path in site_packages.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    for pattern in LINKED:
        libraries = list((site_packages / "nvidia").glob(pattern))
        for library in libraries:
            empty(library)


def empty(library: Path) -> None:
    """Replaces a library by one with the same soname, symbols and versions, whose functions return 1 (an error, to all of them)."""
    listed = _output("nm", "--dynamic", "--defined-only", "--with-symbol-versions", str(library))
    soname = re.search(r"\(SONAME\).*\[(.+)]", _output("readelf", "--dynamic", str(library)))
    if soname is None:
        raise SystemExit(f"{library} has no soname")
    source: list[str] = []
    versions: dict[str, list[str]] = {}
    for line in listed.splitlines():
        _address, kind, symbol = line.split(maxsplit=2)
        name, _, version = symbol.partition("@")
        if kind == "A" or not re.fullmatch(r"[A-Za-z_]\w*", name):
            continue  # the versions themselves
        source.append(f"int {name}(void) {{ return 1; }}" if kind in "TtWwi" else f"char {name}[4096];")
        versions.setdefault(version.lstrip("@"), []).append(name)
    versions.pop("", None)
    with tempfile.TemporaryDirectory() as folder:
        code, script = Path(folder, "empty.c"), Path(folder, "versions.map")
        code.write_text("\n".join(source))
        script.write_text("".join(f"{version} {{ {'; '.join(names)}; }};\n" for version, names in versions.items()))
        versioned = [f"-Wl,--version-script={script}"] if versions else []
        made = library.with_name(f"{library.name}.new")
        flags = ["-shared", "-fPIC", "-nostdlib", "-fno-builtin", "-w", f"-Wl,-soname,{soname[1]}", *versioned]
        subprocess.run(["gcc", *flags, "-o", str(made), str(code)], check=True)
        made.replace(library)


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]))
