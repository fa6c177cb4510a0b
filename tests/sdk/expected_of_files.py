"""What every client must see of files."""

from typing import Any

MISSING_FILE = ["NotFoundError", 404, "id", None]
PURPOSES = ["fine-tune", "assistants", "batch", "user_data", "vision", "evals"]

OF_FILES: dict[str, dict[str, Any]] = {
    "files_from_anything": {
        "a path": "notes.txt",
        "a stream": "notes.txt",
        "named": "Übersicht 世界.txt",
        "typed": "plan.md",
        "in memory": "memory.txt",
        "without a name": "upload",
        "same bytes": True,
        "sizes": [19],
    },
    "files": {
        "made": ["file", "a.txt", 19, "user_data", "processed"],
        "found": True,
        "gone": [True, "file", True],
        "after": MISSING_FILE,
        "again": MISSING_FILE,
        "purposes": PURPOSES,
    },
    "files_that_expire": {
        "lives": 3600,
        "too soon": ["BadRequestError", 400, "expires_after[seconds]", "integer_below_min_value"],
    },
    "files_page_by_themselves": {
        "pages": [2, 2, 1],
        "newest first": ["4.txt", "3.txt", "2.txt", "1.txt", "0.txt"],
        "turned": True,
        "by purpose": ["3.txt", "1.txt"],
        "bad limit": ["BadRequestError", 400, "limit", "integer_above_max_value"],
        "bad cursor": ["BadRequestError", 400],
    },
    "file_contents": {
        "whole": True,
        "length": "1024000",
        "type": "application/octet-stream",
        "in pieces": True,
        "to disk": True,
        "text": '{"a": "é"}',
        "of assistants": ["BadRequestError", 400, None, None],
        "missing": MISSING_FILE,
    },
    "wait_for_processing": {"status": "processed", "same": True},
    "uploads_refused": {
        "purpose": ["BadRequestError", 400, "purpose", None],
        "parameter": ["BadRequestError", 400, "colour", "unknown_parameter"],
        "no such file": MISSING_FILE,
    },
    "messages_with_files": {
        "parts": ["text", "image_file"],
        "detail": ["low", "auto"],
        "attachments": True,
        "held for the thread": True,
        "answer": ["completed", "seen"],
        "held when the file is gone": [],
        "no such file": ["BadRequestError", 400, "attachments", "file_not_found"],
        "no such picture": ["BadRequestError", 400, "content", "file_not_found"],
        "no picture": ["BadRequestError", 400, "content", "invalid_image_format"],
    },
    "assistants_with_files": {
        "made": True,
        "changed": [],
        "thread": True,
        "missing": ["BadRequestError", 400, "tool_resources.code_interpreter.file_ids", "file_not_found"],
    },
}

NO_NAME = {"files_from_anything": {"without a name": "unknown_file"}}
"""Node's SDK has its own name for what has none."""
