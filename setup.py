"""One extension module from csrc/; datasets/ and kernels/ are installed as subpackages. Metadata: pyproject.toml."""

from glob import glob

from pybind11.setup_helpers import ParallelCompile, Pybind11Extension, build_ext
from setuptools import setup

# -O3: the search loops were 16 times slower at -O2. No -march=native and no -ffast-math: one binary for every machine,
# one result on every machine; the instruction set is chosen at run time (csrc/isa.h).
FLAGS = ["-O3", "-ffp-contract=off", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wpedantic", "-g0"]
SOURCES = sorted(glob("csrc/*.cpp"))
HEADERS = sorted(glob("csrc/*.h") + glob("csrc/*.inc") + glob("kernels/*.h"))

ParallelCompile("PCC_MATCH_BUILD_JOBS", default=2).install()

setup(
    packages=[
        "pcc_match",
        "pcc_match.backends",
        "pcc_match.dna",
        "pcc_match.evaluation",
        "pcc_match.exchange",
        "pcc_match.finger",
        "pcc_match.gallery",
        "pcc_match.itl",
        "pcc_match.treaties",
        "pcc_match.datasets",
        "pcc_match.kernels",
    ],
    package_dir={"pcc_match": "pcc_match", "pcc_match.datasets": "datasets", "pcc_match.kernels": "kernels"},
    package_data={
        "pcc_match": ["py.typed"],
        "pcc_match.dna": ["*.toml"],
        "pcc_match.evaluation": ["*.css"],
        "pcc_match.exchange": ["*.toml", "*.xsd", "*.wsdl"],
        "pcc_match.finger": ["*.toml"],
        "pcc_match.itl": ["tables/*.toml", "profiles/*.toml"],
        "pcc_match.treaties": ["*.toml"],
        "pcc_match.datasets": ["*.md", "data/*"],
        "pcc_match.kernels": ["*.h", "*.cu"],
    },
    ext_modules=[
        Pybind11Extension(
            "pcc_match._cpu",
            SOURCES,
            include_dirs=["csrc", "kernels"],
            depends=HEADERS,
            extra_compile_args=FLAGS,
            cxx_std=17,
        )
    ],
    cmdclass={"build_ext": build_ext},
)
