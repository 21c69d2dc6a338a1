"""See that a wheel or an sdist holds everything; run by `.ci/run` with the archive's name."""

import sys
import tarfile
import zipfile
from pathlib import Path

WHEEL = (
    "hybridprior/py.typed",
    "hybridprior/solvers/gradient.py",
    "hybridprior/data/otter.png",
    "hybridprior/cli/app.py",
    "hybridprior/evaluation/report/assets/report.html.j2",
    "hybridprior/weights/manifest.toml",
    "hybridprior/weights/__init__.py",
)
SDIST = (
    "hybridprior/py.typed",
    "hybridprior/evaluation/report/assets/report.css",
    "hybridprior/data/otter.png",
    "cli/app.py",
    "weights/manifest.toml",
    "LICENSE",
)


def main(archive: Path) -> None:
    """Exit with the first missing file's name."""
    if archive.suffix == ".whl":
        names, wanted = set(zipfile.ZipFile(archive).namelist()), WHEEL
        top = {name.split("/")[0] for name in names}
        if top & {"cli", "weights", "tests"}:
            sys.exit(f"{archive.name} installs a bare {top & {'cli', 'weights', 'tests'}}")
    else:
        with tarfile.open(archive) as file:
            names, wanted = {name.partition("/")[2] for name in file.getnames()}, SDIST
    for name in wanted:
        if name not in names:
            sys.exit(f"{archive.name} lacks {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
