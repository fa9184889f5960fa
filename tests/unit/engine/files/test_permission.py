from __future__ import annotations

import pytest

from jobs.engine.errors import (
    Forbidden,
    InvalidParameters,
)
from jobs.engine.files.permission import FileReference, check_permission
from tests.file_storage import save


def test_only_existing_files_of_the_user_may_be_used(store):
    mine, theirs = save(), save(owner="bob")
    check_permission(store, [FileReference("/a", mine)], "alice", admin=False)
    check_permission(store, [FileReference("/a", theirs)], "alice", admin=True)
    with pytest.raises(Forbidden, match="/a"):
        check_permission(store, [FileReference("/b", "0" * 32), FileReference("/a", theirs)], "alice", admin=False)
    with pytest.raises(InvalidParameters) as refused:
        check_permission(store, [FileReference("/a", mine), FileReference("/b", "0" * 32)], "alice", admin=False)
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [("/b", "unknown_file")]
