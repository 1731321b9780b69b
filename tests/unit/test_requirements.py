"""The lock that ./dev setup installs from agrees with pyproject.toml."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "dev.txt"


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned_to_a_version_that_it_allows() -> None:
    """What pyproject.toml asks for is in the lock, in range; else run ./dev lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [
        *project["project"]["dependencies"],
        *project["build-system"]["requires"],
        *project["dependency-groups"]["dev"],
    ]
    for extra in project["project"]["optional-dependencies"].values():
        asked += extra
    pins: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", LOCK.read_text(), re.MULTILINE):
        pins.setdefault(canonical(name), []).append(version)
    for text in asked:
        wanted = Requirement(text)
        versions = pins.get(canonical(wanted.name), [])
        assert versions, f"{text} is not pinned"
        assert all(wanted.specifier.contains(version) for version in versions), f"{text}: pinned {versions}"


def test_every_pin_has_a_hash_and_none_says_where_it_comes_from() -> None:
    """Each requirement is name==version with hashes; the index is the business of the machine."""
    text = LOCK.read_text()
    pins = re.findall(r"^[\w.-]+==[^\\]+\\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[^\s#]", text, re.MULTILINE))
    assert not re.search(r"://|index-url|find-links", text)
