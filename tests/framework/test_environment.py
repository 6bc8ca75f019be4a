"""What a run notes of the code that it ran with."""

import subprocess

import pytest

from frame.runs.environment import git_state, without_credentials


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://host/a/b.git", "https://host/a/b.git"),
        ("https://user:secret@host:8443/b.git?access_token=secret#secret", "https://host:8443/b.git"),
        ("https://secret@host/b.git", "https://host/b.git"),
        ("https://x:sec@ret@host/b.git", "https://host/b.git"),
        ("ssh://git:secret@host:22/b.git", "ssh://git@host:22/b.git"),
        ("git@host:a/b.git", "git@host:a/b.git"),
        ("/srv/git/b.git", "/srv/git/b.git"),
    ],
)
def test_a_remote_is_noted_without_credentials(address, kept):
    assert without_credentials(address) == kept


def test_commit_changes_and_remote_of_the_folder_are_noted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state() is None

    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, cwd=tmp_path)

    git("init")
    git("commit", "--allow-empty", "-m", "one")
    before = git_state()
    assert set(before) == {"commit", "changed"}
    assert len(before["commit"]) == 40
    git("remote", "add", "origin", "https://me:hunter2@host/mine.git")
    (tmp_path / "new").touch()
    assert git_state() == {"commit": before["commit"], "changed": True, "remote": "https://host/mine.git"}
    git("remote", "set-url", "origin", "https://[broken/mine.git")
    assert "remote" not in git_state()
