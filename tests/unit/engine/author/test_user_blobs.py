from __future__ import annotations

from jobs.engine.author.documents import blob_exists, delete_user_blobs, user_path, write_blob
from jobs.engine.settings import settings


def test_only_the_blobs_of_the_given_user_are_deleted(storage: str) -> None:
    for user in ("alice", "bob"):
        write_blob(user_path("documents/notes.json", user), b"{}")
        write_blob(user_path("models/a/b.npz", user), b"model")

    delete_user_blobs("alice", settings())

    kept = [user_path("documents/notes.json", user) for user in ("alice", "bob")]
    assert [blob_exists(path) for path in kept] == [False, True]
    assert not blob_exists(user_path("models/a/b.npz", "alice"))
    delete_user_blobs("nobody-ever", settings())
