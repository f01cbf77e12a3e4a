"""A job as pages see it."""

from collections.abc import Mapping
from typing import Any

from gesso.studio.forms import form

__all__ = ["shown"]

PLAIN = (
    "id", "task", "title", "options", "status", "wish", "priority", "place", "created", "started", "ended", "tries",
    "message", "error", "run",
)  # fmt: skip


def shown(
    row: Mapping[str, Any], preview: Mapping[str, Any] | None, progress: Mapping[str, Any] | None
) -> dict[str, Any]:
    """A row of the table of jobs, its last preview, and its progress where that is newer."""
    result = row["result"] and {
        **row["result"],
        "files": [
            {"name": one["name"], "bytes": one["bytes"], "url": f"/api/jobs/{row['id']}/files/{number}"}
            for number, one in enumerate(row["result"]["files"])
        ],
    }
    return {
        **{name: row[name] for name in PLAIN},
        "long": row["lane"] == "hours",
        "resumable": form(row["task"]).task.resumable,
        "progress": progress or row["progress"],
        "preview": preview
        and {
            "url": f"/api/jobs/{row['id']}/previews/{preview['id']}", "title": preview["title"], "at": preview["at"],
        },
        "result": result,
    }  # fmt: skip
