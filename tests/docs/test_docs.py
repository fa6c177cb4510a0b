"""What the documents say is true of the code."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_runtime_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    needed = {re.split(r"[<>=;\[ ]", line)[0] for line in lines}
    page = (ROOT / "docs" / "decisions" / "0012-dependencies.md").read_text()
    assert needed == set(re.findall(r"^\| ([a-z0-9-]+) \|", page, re.MULTILINE)) - {"package"}


def test_every_decision_names_the_check_that_keeps_it() -> None:
    for page in (ROOT / "docs" / "decisions").glob("*.md"):
        assert "**Kept by.**" in page.read_text(), page.name


def test_links_between_documents_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith(("http", "sandbox:")):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_five_commands_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"^(?:.* )?make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert used <= targets
    assert {"help", "setup", "fix", "check", "bench", "docs", "demo", "serve", "test"} <= targets
