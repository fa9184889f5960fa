from __future__ import annotations

from jobs.engine.author.blobs import blob_exists, user_path, write_blob
from jobs.engine.operate.cleanup import remove_leftovers


def test_clean_up_deletes_the_blobs_of_removed_users(storage: str) -> None:
    for user in ("alice", "gone"):
        write_blob(user_path("documents/notes.json", user), b"{}")

    assert remove_leftovers().users == 1

    assert blob_exists(user_path("documents/notes.json", "alice"))
    assert not blob_exists(user_path("documents/notes.json", "gone"))
