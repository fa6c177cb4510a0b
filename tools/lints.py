"""Our own rules, each a few lines over the syntax tree. A line may escape one: `# lint: allow RULE because …`."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def calls_to(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    """Calls of a function or method with one of these names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in names:
                yield node


def status_is_decided_in_the_domain(path: Path, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Nobody but the domain moves a status (style rule 1)."""
    if "domain" in path.parts or "src" not in path.parts:
        return
    for call in calls_to(tree, "replace"):
        if any(keyword.arg == "status" for keyword in call.keywords):
            yield call.lineno, "status is replaced outside the domain"
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Attribute) and t.attr == "status" for t in node.targets
        ):
            yield node.lineno, "status is set outside the domain"


def tests_do_not_sleep(path: Path, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Tests wait on events (style 8.5)."""
    if "tests" in path.parts:
        for call in calls_to(tree, "sleep"):
            yield call.lineno, "a test sleeps"


def tasks_have_owners(path: Path, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """A task nobody holds can vanish, and its error with it."""
    if "src" not in path.parts:
        return
    holders = (ast.Assign, ast.AnnAssign, ast.Await, ast.Return, ast.NamedExpr)
    held = {id(node.value) for node in ast.walk(tree) if isinstance(node, holders)}
    for call in calls_to(tree, "create_task", "ensure_future"):
        group = isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "tasks"
        if id(call) not in held and not group:
            yield call.lineno, "a task without an owner"


def only_the_store_speaks_sql(path: Path, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """State is written through write sets, inside the store adapters."""
    if "src" in path.parts and "adapters" not in path.parts:
        for call in calls_to(tree, "execute", "rollback"):
            if not ast.unparse(call.func).endswith("sandbox.execute"):  # which speaks Python
                yield call.lineno, "SQL outside the adapters"


RULES = (status_is_decided_in_the_domain, tests_do_not_sleep, tasks_have_owners, only_the_store_speaks_sql)


def problems_in(path: Path) -> Iterator[str]:
    """What one file breaks, less what it escapes with a reason."""
    text = path.read_text()
    lines, tree, name = text.splitlines(), ast.parse(text), path.relative_to(ROOT)
    for rule in RULES:
        for line, problem in rule(name, tree):
            if f"# lint: allow {rule.__name__} because" not in lines[line - 1]:
                yield f"{name}:{line}: {problem} ({rule.__name__})"


def main() -> int:
    """1 if any rule is broken."""
    paths = [path for folder in ("src", "tests", "bench") for path in sorted((ROOT / folder).rglob("*.py"))]
    problems = [problem for path in paths if "node_modules" not in path.parts for problem in problems_in(path)]
    print("\n".join(problems) if problems else "own rules kept")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
