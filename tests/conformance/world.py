"""Objects of each kind on a live server, at rest, to ask every operation about."""

from dataclasses import dataclass
from typing import Any, cast

from tests.support.serving import Live

Body = dict[str, Any]

OF_STORES = (("anchor", "last_active_at"), ("days", 1))
"""What stands beside a place of `expires_after` and is none of a file's."""

UPLOAD = {"bytes": 1, "filename": "a.txt", "mime_type": "text/plain", "purpose": "assistants"}


@dataclass(frozen=True)
class World:
    """Ids by the name their path parameter has."""

    ids: dict[str, str]

    def placed(self, operation: str) -> str:
        """`GET /threads/{thread_id}` with the ids in their places."""
        for name, known in self.ids.items():
            operation = operation.replace(f"{{{name}}}", known)
        return operation

    def body(self, operation: str, said: Body) -> Body:
        """A body with what the operation needs besides."""
        needs: dict[str, Body] = {
            "POST /assistants": {"model": "rehearsal"},
            "POST /threads/{thread_id}/messages": {"role": "user", "content": "x"},
            "POST /threads/{thread_id}/runs": {"assistant_id": self.ids["assistant_id"]},
            "POST /threads/runs": {"assistant_id": self.ids["assistant_id"]},
            "POST /threads/{thread_id}/runs/{run_id}/submit_tool_outputs": {"tool_outputs": []},
            "POST /vector_stores/{vector_store_id}/files": {"file_id": self.ids["file_id"]},
            "POST /vector_stores/{vector_store_id}/files/{file_id}": {"attributes": {}},
            "POST /vector_stores/{vector_store_id}/file_batches": {"file_ids": [self.ids["file_id"]]},
            "POST /vector_stores/{vector_store_id}/search": {"query": "x"},
            "POST /uploads": UPLOAD,
            "POST /uploads/{upload_id}/complete": {"part_ids": []},
        }
        if said.get("files"):
            return said
        if operation == "POST /uploads" and isinstance(expiry := said.get("expires_after"), dict):
            given = {key: value for key, value in cast("Body", expiry).items() if (key, value) not in OF_STORES}
            if given != expiry:
                said = said | {"expires_after": {"anchor": "created_at", "seconds": 3600} | given}
        return {**needs.get(operation, {}), **said}

    def real(self, said: Any) -> Any:
        """The value, FILE and STORE in it replaced by ids."""
        if isinstance(said, list):
            return [self.real(one) for one in cast("list[Any]", said)]
        if isinstance(said, dict):
            return {name: self.real(one) for name, one in cast("Body", said).items()}
        stands = {"FILE": self.ids["file_id"], "STORE": self.ids["vector_store_id"]}
        return stands.get(said, said) if isinstance(said, str) else said


async def world(live: Live) -> World:
    """A new one: an assistant with instructions, a thread with a message and a run that has ended, and a file in a
    vector store with a batch.
    """
    assistant = await live.api.assistant(instructions="Be brief.")
    thread = await live.api.thread("say: hi")
    events = await live.api.stream(f"/threads/{thread}/runs", {"assistant_id": assistant})
    ids = {event.name: event.data["id"] for event in events if event.name != "done"}
    file, store = await live.api.file("a.txt"), (await live.api.ok("POST", "/vector_stores", {}))["id"]
    batch = await live.api.ok("POST", f"/vector_stores/{store}/file_batches", {"file_ids": [file]})
    upload = await live.api.ok("POST", "/uploads", UPLOAD | {"bytes": 0})
    return World({
        "upload_id": upload["id"],
        "vector_store_id": store,
        "batch_id": batch["id"],
        "assistant_id": assistant,
        "thread_id": thread,
        "message_id": ids["thread.message.completed"],
        "run_id": ids["thread.run.completed"],
        "step_id": ids["thread.run.step.completed"],
        "file_id": file,
        "model": "rehearsal",
    })  # fmt: skip
