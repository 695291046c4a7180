"""Kernel sources as one text each, for NVRTC at run time and for the tests that compile them without a GPU.

A compiled kernel is cached under a hash of its text. Headers found through an include path would escape that hash, and
an edited header would then serve a stale kernel; so the headers of `kernels/` are put in place of their `#include`,
with `#line` directives that keep compiler messages pointing at the real files.
"""

import re
from importlib import resources

from pcc_match.errors import DeviceError

OPTIONS = ("--std=c++17", "--fmad=false")
"""NVRTC's options, whatever the GPU. No fused multiply-add: one result on every device."""

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"[ \t]*(?://.*)?$')
_KERNEL = re.compile(r"extern \"C\" __global__ void\s+(?:__launch_bounds__\(\w+\)\s+)?(\w+)\(")


def kernel_files() -> tuple[str, ...]:
    """Names of the installed `.cu` files, sorted."""
    files = resources.files("pcc_match.kernels").iterdir()
    return tuple(sorted(f.name for f in files if f.name.endswith(".cu")))


def kernel_source(file: str) -> str:
    """`file` (such as "dna_search.cu") with each header of `kernels/` in place of its first `#include`.

    Raises DeviceError naming file and line where a header is missing.
    """
    return _expand(file, f"the kernel {file!r} was asked for", set())


def kernel_names(source: str) -> tuple[str, ...]:
    """The kernels that a source defines, in its order."""
    return tuple(_KERNEL.findall(source))


def _expand(file: str, wanted_by: str, seen: set[str]) -> str:
    try:
        text = resources.files("pcc_match.kernels").joinpath(file).read_text(encoding="utf-8")
    except OSError as e:
        raise DeviceError(f"{wanted_by}, but kernels/{file} cannot be read ({e}); install pcc_match again") from e
    lines = [f'#line 1 "{file}"']
    for number, line in enumerate(text.splitlines(), 1):
        if match := _INCLUDE.match(line):
            header = match.group(1)
            if header not in seen:
                seen.add(header)
                lines.append(_expand(header, f"kernels/{file}, line {number} includes {header!r}", seen))
            lines.append(f'#line {number + 1} "{file}"')
        else:
            lines.append("" if line.startswith("#pragma once") else line)
    return "\n".join(lines)
