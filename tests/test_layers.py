"""Imports go one way, heavy libraries are loaded only where they are used, and each database and server has one owner.

The rules are those of the design; the functions that find offences are themselves tried on code that offends.
"""

from __future__ import annotations

import ast
import graphlib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("feedback", "sft", "alignment", "review_ui")
"""Each may import itself and those before it."""

ORDER = {
    "feedback": ("errors", "config", "ids", "paths", "schemas", "spans", "measures", "intervals", "paired", "planning", "jsonl",
                 "rubric",
                 "lineage", "prompts", "gold", "terminal", "store", "guardrails", "aggregation", "curation", "training_sets",
                 "desk", "simulation", "review_commands", "weigh_commands", "commands"),
    "sft": ("trainer_fields", "config", "chat", "silence", "quantized", "smollm2", "model", "lora_starts", "adapters", "decode",
            "vllm_engine", "generate", "best_of", "augment", "pretrain", "trainer_args", "watching", "curves", "training",
            "replay", "train", "stage_config", "commands"),
    "alignment": ("ranked", "rl_limits", "config", "project", "pairs", "rankings", "curves", "falling", "dpo_pairs", "dpo",
                  "reward_members", "ensemble", "reward", "estimating", "rl_trainer", "rl", "evaluation",
                  "selection", "signals", "gates", "registry", "steps", "rounds",
                  "overview", "leads", "snapshots", "trail", "export", "sampling_commands", "align_commands", "commands"),
    "review_ui": ("appliance", "console", "project", "demo", "cli"),
    "feedback.aggregation": ("conclusions", "votes", "manners", "panel", "prevalence", "reliability", "bearing", "overlap",
                             "orders", "questions", "agreement", "csv_lines", "ratings_file", "methods", "file_verdicts",
                             "ranking", "verdicts", "labelled", "reviewers", "cliques", "lifts", "label_errors",
                             "ranking_habits", "integrity"),
    "feedback.guardrails": ("recognizers", "pii", "masking", "moderation"),
    "feedback.curation": ("control_tokens", "duplicates", "wording", "families", "near", "quality", "language", "unicode_repair",
                          "terminology", "contamination", "contradictions", "ledger", "texts", "aids", "pointing", "slices",
                          "report", "curate", "again", "documents"),
    "feedback.training_sets": ("rows", "split", "settings", "material", "rewrites", "weights", "sft", "judged_apart", "kto",
                               "preferences", "rankings", "augment", "card", "write", "row_texts", "trl_rows", "dataset_card",
                               "export", "hub"),
    "sft.curves": ("curve", "finding", "checks", "chart", "report", "readings", "demonstrations"),
    "alignment.curves": ("apart", "pairs", "checks", "pictures", "judged", "watch", "rewarded"),
    "review_ui.console": ("access", "trend", "reports", "pages", "reading", "templating", "routes", "app", "server"),
    "review_ui.project": ("init", "stopping", "worker", "exchange", "serve", "two_steps", "doctor", "commands"),
}
"""Inside a package a module imports those listed before it, not those after."""

INSIDE = "review_ui.appliance.inside"
"""Runs in the appliance's own environment: its own program, with rules of its own."""
OF_THE_SERVER = {"sqlalchemy", "alembic", "fastapi", "starlette", "uvicorn", "numpy", "rq", "redis", "pydantic", "pydantic_core",
                 "bcrypt", "brotli_asgi"}
"""What argilla_server itself is made of, and so is there in its environment."""
HEAVY = {"torch", "transformers", "trl", "peft", "datasets", "argilla", "mlflow", "accelerate", "bitsandbytes", "evaluate",
         "pandas", "vllm", "gguf", "rouge_score", "scipy", "spacy", "presidio_analyzer", "tldextract", "rensa",
         "ftfy", "py3langid"}
"""Imported inside the functions that need them."""
TRAINERS = "alignment.ranked"
"""Subclasses of torch's and TRL's classes need these libraries at their top. What loads one of them is itself imported inside
functions by everything outside."""
OWNERS = {"argilla": ("feedback.desk",), "sqlalchemy": ("feedback.store", INSIDE), "alembic": ("feedback.store", INSIDE),
          "fastapi": ("review_ui.console", INSIDE)}
"""Library -> the only packages that import it."""


@dataclass(frozen=True)
class Import:
    """One imported module or name, seen in one module."""

    module: str
    target: str
    """Dotted, with the imported name where `from x import name` was written."""
    top_level: bool
    """It runs when the module is imported."""

    def __str__(self) -> str:
        return f"{self.module} imports {self.target}"


def imports_of(module: str, source: str) -> Iterator[Import]:
    """Every import of a module; those inside a function or under TYPE_CHECKING are not top level."""
    tree = ast.parse(source)
    running = set(map(id, _running(tree.body)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(module, alias.name, id(node) in running) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[:-node.level] if node.level else []
            source_module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (Import(module, f"{source_module}.{alias.name}", id(node) in running) for alias in node.names)


def _running(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run at import, inside classes and conditions as well."""
    for node in body:
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for block in ("orelse", "finalbody") if for_types else ("body", "orelse", "finalbody"):
            yield from _running(getattr(node, block, []))
        for handler in getattr(node, "handlers", []):
            yield from _running(handler.body)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}
IMPORTS = [found for name, path in FILES.items() for found in imports_of(name, path.read_text(encoding="utf-8"))]


def within(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def upward(imports: Iterable[Import]) -> list[Import]:
    """Imports of a package that stands above the importing one."""
    rank = {package: place for place, package in enumerate(PACKAGES)}
    return [i for i in imports if rank.get(i.target.split(".")[0], -1) > rank[i.module.split(".")[0]]]


def out_of_order(imports: Iterable[Import]) -> list[str]:
    """Imports of a module that is listed after the importing one, and modules that the order does not list."""
    found = []
    for package, order in ORDER.items():
        for i in imports:
            if not (i.module.startswith(package + ".") and i.target.startswith(package + ".")):
                continue
            source, target = (name.removeprefix(package + ".").split(".")[0] for name in (i.module, i.target))
            if missing := [name for name in (source, target) if name not in order]:
                found.append(f"{package}.{missing[0]}: not in ORDER; say where it stands")
            elif order.index(target) > order.index(source):
                found.append(str(i))
    return sorted(set(found))


def heavy_at_top(imports: Iterable[Import]) -> list[Import]:
    """Heavy libraries, and trainers that load them, loaded by importing a module that is not a trainer itself."""
    top = [i for i in imports if i.top_level]
    loading = {i.module for i in top if i.target.split(".")[0] in HEAVY and within(i.module, [TRAINERS])}
    while more := {i.module for i in top if within(i.module, [TRAINERS]) and within(i.target, loading)} - loading:
        loading |= more
    return [i for i in top if (i.target.split(".")[0] in HEAVY or within(i.target, loading))
            and not within(i.module, [INSIDE, TRAINERS])]


def not_the_owner(imports: Iterable[Import]) -> list[Import]:
    """Libraries imported outside the package that owns them."""
    return [i for i in imports if (owners := OWNERS.get(i.target.split(".")[0])) and not within(i.module, owners)]


def private_names(imports: Iterable[Import]) -> list[Import]:
    """Names with a leading underscore taken from another module of ours."""
    return [i for i in imports if i.target.split(".")[0] in PACKAGES and i.target.split(".")[-1].startswith("_")]


def cycle_in(imports: Iterable[Import], modules: Iterable[str]) -> list[str]:
    """A circle of modules that import each other, or nothing."""
    known = set(modules)
    graph: dict[str, set[str]] = {name: set() for name in known}
    for i in imports:
        target = i.target if i.target in known else i.target.rpartition(".")[0]
        if target in known and target != i.module:
            graph[i.module].add(target)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_there_are_modules_to_check() -> None:
    assert {name.split(".")[0] for name in FILES} == set(PACKAGES)
    assert len(IMPORTS) > 100


def test_imports_go_down_only() -> None:
    assert [str(i) for i in upward(IMPORTS)] == []


def test_inside_a_package_a_module_imports_those_listed_before_it() -> None:
    assert out_of_order(IMPORTS) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert cycle_in(IMPORTS, FILES) == []


def test_heavy_libraries_are_imported_inside_functions() -> None:
    assert [str(i) for i in heavy_at_top(IMPORTS)] == []


def test_each_database_and_server_library_has_one_owner() -> None:
    assert [str(i) for i in not_the_owner(IMPORTS)] == []


def test_what_people_said_is_concluded_without_torch_and_without_a_web_server() -> None:
    forbidden = {"torch", "transformers", "trl", "peft", "fastapi", "starlette", "uvicorn"}
    assert [str(i) for i in IMPORTS if i.module.startswith("feedback") and i.target.split(".")[0] in forbidden] == []


def test_the_appliance_inside_is_its_own_program() -> None:
    found = [i for i in IMPORTS if within(i.module, [INSIDE]) and not within(i.target, [INSIDE])]
    allowed = set(sys.stdlib_module_names) | {"argilla_server"} | OF_THE_SERVER
    assert [str(i) for i in found if i.target.split(".")[0] not in allowed] == []


def test_no_module_takes_anothers_private_names() -> None:
    assert [str(i) for i in private_names(IMPORTS)] == []


def test_command_modules_load_only_the_command_line() -> None:
    allowed = set(sys.stdlib_module_names) | {"typer", "feedback.errors", "feedback.terminal"}
    commands = [i for i in IMPORTS if i.module.endswith("commands") and i.top_level]
    assert commands
    assert [str(i) for i in commands if i.target.split(".")[0] not in allowed and not within(i.target, allowed)] == []


@pytest.mark.parametrize(("finder", "module", "source"), [
    (upward, "feedback.store", "def f():\n    from alignment import rounds"),
    (upward, "sft.train", "import review_ui.cli"),
    (out_of_order, "feedback.ids", "from feedback.desk import connect"),
    (out_of_order, "feedback.ids", "from feedback.unheard_of import anything"),
    (heavy_at_top, "sft.train", "try:\n    import torch\nexcept ImportError:\n    torch = None"),
    (heavy_at_top, "sft.train", "class A:\n    from trl import SFTTrainer"),
    (not_the_owner, "alignment.rounds", "def f():\n    import argilla.records"),
    (private_names, "alignment.rounds", "from feedback.lineage import _records"),
], ids=lambda value: getattr(value, "__name__", None))
def test_an_offence_is_found(finder, module: str, source: str) -> None:
    assert finder(list(imports_of(module, source)))


def test_a_heavy_import_in_a_function_or_for_types_alone_is_no_offence() -> None:
    source = "if TYPE_CHECKING:\n    import torch\nclass A:\n    def f(self):\n        import torch"
    assert heavy_at_top(list(imports_of("sft.train", source))) == []


def test_a_trainer_that_loads_torch_is_not_loaded_by_importing_others() -> None:
    trainer = [*imports_of("alignment.ranked.losses", "import torch"),
               *imports_of("alignment.ranked.run", "import alignment.ranked.losses")]
    assert heavy_at_top(trainer) == []
    assert heavy_at_top([*trainer, *imports_of("alignment.dpo", "from alignment.ranked.run import run")])
    assert heavy_at_top([*trainer, *imports_of("alignment.dpo", "from alignment.ranked.settings import RankedConfig")]) == []


def test_a_circle_is_found() -> None:
    sources = {"feedback.a": "def f():\n    from feedback import b", "feedback.b": "from feedback.a import f"}
    found = [i for name, source in sources.items() for i in imports_of(name, source)]
    assert set(cycle_in(found, sources)) == {"feedback.a", "feedback.b"}


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `code`."""
    script = f"import json, sys\n{code}\nsys.stderr.write(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stderr.splitlines()[-1]))


WITHOUT_TRAINING = """
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "transformers", "trl", "peft", "accelerate", "evaluate", "rouge_score"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""
"""The base install: the packages of the `train` extra are not there."""


def test_help_loads_no_heavy_library() -> None:
    loaded = loaded_by("sys.argv = ['redpen', '--help']\nfrom review_ui.cli import app\n"
                       "try:\n    app()\nexcept SystemExit as end:\n    assert end.code == 0")
    assert loaded & {"typer", "review_ui"} == {"typer", "review_ui"}
    assert loaded & (HEAVY | {"numpy", "sqlalchemy", "fastapi", "starlette", "uvicorn", "pydantic", "yaml", "httpx"}) == set()


def test_the_review_side_imports_without_the_train_extra() -> None:
    loaded = loaded_by(WITHOUT_TRAINING + "import review_ui.cli, review_ui.project.serve, review_ui.project.doctor\n"
                       "from pathlib import Path\nfrom review_ui.console.app import create_app\ncreate_app(Path('.'))")
    assert "fastapi" in loaded
    assert "torch" not in loaded
