"""Size budgets of style.md: the tail is what separates a model codebase from an ordinary one."""

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
FUNCTION_MEDIAN, FUNCTION_P95, FUNCTION_MAX = 8, 25, 60
FILE_P95, FILE_MAX = 350, 500
CONSTRUCTOR_ARGUMENTS, PORT_METHODS = 7, 7

Function = ast.FunctionDef | ast.AsyncFunctionDef


def body_lines(node: Function) -> int:
    """Lines of a function without its docstring."""
    first = node.body[0]
    skipped = 0
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        skipped = (first.end_lineno or 0) - first.lineno + 1
    return (node.end_lineno or 0) - node.lineno + 1 - skipped


def p95(values: list[int]) -> int:
    """The value 95 % do not exceed."""
    return sorted(values)[int(len(values) * 0.95)]


def shapes(name: str, tree: ast.AST) -> Iterator[str]:
    """Constructors and ports that are too wide."""
    for node in ast.walk(tree):
        if isinstance(node, Function) and node.name == "__init__":
            arguments = len(node.args.args) + len(node.args.kwonlyargs) - 1
            if arguments > CONSTRUCTOR_ARGUMENTS:
                yield f"{name}:{node.lineno}: a constructor with {arguments} arguments"
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases):
            methods = sum(isinstance(item, Function) for item in node.body)
            if methods > PORT_METHODS:
                yield f"{name}:{node.lineno}: port {node.name} has {methods} methods"


def main() -> int:
    """1 if a budget is broken."""
    functions: dict[str, int] = {}
    files: dict[str, int] = {}
    problems: list[str] = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        name, text = str(path.relative_to(ROOT)), path.read_text()
        tree = ast.parse(text)
        files[name] = text.count("\n")
        nodes = [node for node in ast.walk(tree) if isinstance(node, Function)]
        functions |= {f"{name}:{node.lineno} {node.name}": body_lines(node) for node in nodes}
        problems += shapes(name, tree)
    problems += [f"{name}: {lines} lines" for name, lines in files.items() if lines > FILE_MAX]
    problems += [f"{name}: {lines} lines" for name, lines in functions.items() if lines > FUNCTION_MAX]
    measured = {
        f"function median (<= {FUNCTION_MEDIAN})": (statistics.median(functions.values()), FUNCTION_MEDIAN),
        f"function p95 (<= {FUNCTION_P95})": (p95(list(functions.values())), FUNCTION_P95),
        f"file p95 (<= {FILE_P95})": (p95(list(files.values())), FILE_P95),
    }
    problems += [f"{what} is {value:g}" for what, (value, limit) in measured.items() if value > limit]
    print(
        "\n".join(problems) if problems else "budgets kept: " + ", ".join(f"{k} {v[0]:g}" for k, v in measured.items())
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
