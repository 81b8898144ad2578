import pytest

from alignment.leads import may_approve
from feedback.config import DeskConfig
from feedback.desk.identity import DeskUser, own_key
from feedback.errors import DeskRefused


@pytest.mark.parametrize(("user", "allowed"), [
    (DeskUser("sim-owner", "owner", in_workspace=False), True),
    (DeskUser("sim-admin", "admin", in_workspace=True), True),
    (DeskUser("sim-admin", "admin", in_workspace=False), False),
    (DeskUser("sim-lead", "annotator", in_workspace=True), True),
    (DeskUser("sim-lead", "annotator", in_workspace=False), False),
    (DeskUser("sim-0", "annotator", in_workspace=True), False),
])
def test_owners_the_workspaces_admins_and_listed_leads_may_approve(user, allowed):
    assert may_approve(user, leads=("sim-lead",)) is allowed


def test_nobody_approves_with_the_key_that_the_project_keeps(tmp_path):
    (tmp_path / "argilla").mkdir()
    (tmp_path / "argilla" / "owner.json").write_text('{"url": "http://127.0.0.1:1", "api_key": "the-owner"}')
    with pytest.raises(DeskRefused, match="put your own into the environment variable ARGILLA_API_KEY"):
        own_key(tmp_path, DeskConfig(), environ={})
    assert own_key(tmp_path, DeskConfig(), environ={"ARGILLA_API_KEY": "mine"}).api_key == "mine"
