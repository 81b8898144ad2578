import pytest

from alignment.project import Project
from feedback.errors import InvalidInput
from tests.loop import tiny_project


@pytest.fixture
def project(tmp_path) -> Project:
    return tiny_project(tmp_path / "desk", tmp_path / "no-model-is-loaded")


def add(project: Project, name: str, *lines: str) -> None:
    with (project.folder / name).open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_mistakes_in_both_files_are_told_together_each_with_its_line(project):
    add(project, "prompts.jsonl", "", '{"prompt": 5}', "not json", '{"prompt": "Question 1?"}')
    add(project, "critical.jsonl", '{"prompt": "Who knows?"}')
    with pytest.raises(InvalidInput) as error:
        _ = project.prompts
    places = {problem.split(": ")[0] for problem in error.value.problems}
    # 40 and 4 lines stand in the files already; the repeated question is told once the lines can be read.
    assert places == {f"{project.folder}/prompts.jsonl:42", f"{project.folder}/prompts.jsonl:43",
                      f"{project.folder}/critical.jsonl:5"}


def test_a_question_stands_in_one_of_the_files(project):
    add(project, "prompts.jsonl", '{"prompt": "Critical 1?"}')
    with pytest.raises(InvalidInput, match=r"'Critical 1\?' stands in critical\.jsonl as well"):
        _ = project.prompts


def test_a_critical_question_needs_its_reference(project):
    add(project, "critical.jsonl", '{"prompt": "Who knows?", "reference": "  "}')
    with pytest.raises(InvalidInput, match=r"critical\.jsonl:5: 'Who knows\?' has no reference"):
        _ = project.prompts


def test_a_question_is_asked_once(project):
    add(project, "prompts.jsonl", '{"prompt": "Question 7?"}')
    with pytest.raises(InvalidInput, match=r"prompts\.jsonl:41: 'Question 7\?' stands in the file twice"):
        _ = project.prompts


def test_one_worker_at_a_time_holds_a_project(project):
    from feedback.errors import Locked

    with project.lock(), pytest.raises(Locked, match="another `redpen round run` is at work here"), project.lock():
        pass
