"""An export is pushed to the Hugging Face Hub: private unless asked otherwise, and never without a token."""

from __future__ import annotations

from pathlib import Path

from feedback.errors import HubError, InvalidInput, MissingPart


def check_push(repo: str) -> str:
    """The token to push with. Raises InvalidInput without one or for a name that is none, before anything is written."""
    try:
        from huggingface_hub import constants, get_token
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils._validators import validate_repo_id
    except ImportError:
        raise MissingPart("huggingface_hub is not installed: pip install -c constraints.txt '.[train]'") from None
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise InvalidInput(f"--repo is {repo!r}: {error}") from None
    if "/" not in repo:
        raise InvalidInput(f"--repo is {repo!r}; use OWNER/NAME, such as my-team/verdicts")
    token = get_token()
    if token is None:
        raise InvalidInput("no Hugging Face token: run `hf auth login`, or set HF_TOKEN to one that may write; "
                           "nothing was written or pushed")
    if constants.HF_HUB_OFFLINE:
        raise InvalidInput("HF_HUB_OFFLINE is set, so nothing can be pushed; unset it, or export with --to parquet")
    return token


def push(folder: Path, repo: str, *, public: bool, token: str) -> str:
    """Upload the finished export `folder` as the dataset `repo` and return the address.

    A repository that exists keeps its visibility: one that is public is refused unless `public` is asked for. Raises HubError
    when the Hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    # Its HTTP client's own error, whichever client this version brings: httpx or httpx2.
    unreachable: type[Exception] = HfHubHTTPError.__mro__[1]
    api = HfApi(token=token)
    try:
        made = api.create_repo(repo, repo_type="dataset", private=not public, exist_ok=True)
        if not public and not api.repo_info(repo, repo_type="dataset").private:
            raise InvalidInput(f"{repo}: is a public dataset; say --public to push there, or choose another --repo")
        api.upload_folder(repo_id=repo, repo_type="dataset", folder_path=str(folder), ignore_patterns=["logs/*"],
                          commit_message=f"Training sets of {folder.name}")
    except HfHubHTTPError as error:
        raise HubError(f"{repo}: the Hub refused ({error}); the export is whole in {folder}") from None
    except unreachable as error:
        raise HubError(f"{repo}: the Hub cannot be reached ({error}); the export is whole in {folder}") from None
    return str(made)
