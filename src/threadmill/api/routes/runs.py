"""Step 1 of a run: /v1/threads/{id}/runs, /v1/threads/runs, and the runs' steps."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router

from threadmill.api.http import ApiContext, caller_project, json_response, poll_headers, read_as, thread_id_of
from threadmill.api.numbered_frames import NumberedFrames
from threadmill.api.sse import EventStream, frames
from threadmill.domain.event import ends_run
from threadmill.domain.ids import RunId, RunStepId
from threadmill.domain.run import Run
from threadmill.engine.objects import run_events, runs
from threadmill.engine.objects.runs import CreatedRun
from threadmill.wire import response
from threadmill.wire.request.query import check_id, event_place, includes_content, page_query
from threadmill.wire.request.run_thread_bodies import CreateRun, CreateThreadAndRun, ModifyMetadata, SubmitToolOutputs
from threadmill.wire.run_trace import run_trace

_EVERY = "/v1/threads/{thread_id}/runs"
_ONE = f"{_EVERY}/{{run_id}}"


class RunRoutes:
    """Runs: create, list, retrieve, modify, cancel, submit tool outputs; steps: list, retrieve."""

    def __init__(self, context: ApiContext) -> None:
        self._context: ApiContext = context

    def add_to(self, router: Router) -> None:
        """Register all of them; `/threads/runs` before `/threads/{id}`."""
        router.add_route("/v1/threads/runs", self.create_with_thread, methods=["POST"])
        router.add_route(_ONE, self.retrieve, methods=["GET"])
        router.add_route(_EVERY, self.create, methods=["POST"])
        router.add_route(_EVERY, self.page, methods=["GET"])
        router.add_route(_ONE, self.modify, methods=["POST"])
        router.add_route(f"{_ONE}/cancel", self.cancel, methods=["POST"])
        router.add_route(f"{_ONE}/submit_tool_outputs", self.submit_tool_outputs, methods=["POST"])
        router.add_route(f"{_ONE}/events", self.events, methods=["GET"])
        router.add_route(f"{_ONE}/trace", self.trace, methods=["GET"])
        router.add_route(f"{_ONE}/steps", self.step_page, methods=["GET"])
        router.add_route(f"{_ONE}/steps/{{step_id}}", self.retrieve_step, methods=["GET"])

    async def create(self, request: Request) -> Response:
        """POST …/runs."""
        thread_id = thread_id_of(request)
        content = _includes_content(request)
        new, stream = await read_as(
            self._context, request, CreateRun, lambda body: (body.to_domain(), body.stream is True)
        )
        accepted = await runs.create(self._context.engine, caller_project(request), thread_id, new)
        return self._accepted_response(accepted, stream=stream, content=content)

    async def create_with_thread(self, request: Request) -> Response:
        """POST /threads/runs."""
        content = _includes_content(request)
        (thread, new), stream = await read_as(
            self._context, request, CreateThreadAndRun, lambda body: (body.to_domain(), body.stream is True)
        )
        accepted = await runs.create_with_thread(self._context.engine, caller_project(request), thread, new)
        return self._accepted_response(accepted, stream=stream, content=content)

    async def submit_tool_outputs(self, request: Request) -> Response:
        """POST …/submit_tool_outputs."""
        thread_id, run_id, content = thread_id_of(request), _run_id(request), _includes_content(request)
        new, stream = await read_as(
            self._context, request, SubmitToolOutputs, lambda body: (body.to_domain(), body.stream is True)
        )
        accepted = await runs.submit_tool_outputs(self._context.engine, caller_project(request), thread_id, run_id, new)
        return self._accepted_response(accepted, stream=stream, content=content)

    def _accepted_response(self, accepted: CreatedRun, *, stream: bool, content: bool) -> Response:
        if stream:
            log, silence = self._context.engine.ports.log, self._context.comment_seconds
            framing = partial(frames, include_content=content)
            return EventStream(log.tail(accepted.run.id, accepted.cursor), framing, silence)
        return _run_response(self._context, accepted.run)

    async def page(self, request: Request) -> Response:
        """GET …/runs."""
        query = page_query(request.query_params)
        page = await runs.page(self._context.engine, caller_project(request), thread_id_of(request), query)
        return json_response(
            response.to_rest_json(response.list_response(map(response.run, page.items), has_more=page.has_more))
        )

    async def retrieve(self, request: Request) -> Response:
        """GET …/runs/{id}."""
        return _run_response(self._context, await self._retrieve_run(request))

    async def _retrieve_run(self, request: Request) -> Run:
        return await runs.retrieve(
            self._context.engine, caller_project(request), thread_id_of(request), _run_id(request)
        )

    async def modify(self, request: Request) -> Response:
        """POST …/runs/{id}."""
        thread_id, run_id = thread_id_of(request), _run_id(request)
        metadata = await read_as(self._context, request, ModifyMetadata, lambda body: body.metadata, allow_empty=True)
        return _run_response(
            self._context, await runs.modify(self._context.engine, caller_project(request), thread_id, run_id, metadata)
        )

    async def cancel(self, request: Request) -> Response:
        """POST …/cancel."""
        thread_id, run_id = thread_id_of(request), _run_id(request)
        return _run_response(
            self._context, await runs.cancel(self._context.engine, caller_project(request), thread_id, run_id)
        )

    async def events(self, request: Request) -> Response:
        """GET …/events: an addition of ours. The whole log, live or over, behind `Last-Event-ID` or `?after=`."""
        content = _includes_content(request)
        place = event_place(request.headers.get("last-event-id") or request.query_params.get("after"))
        run = await self._retrieve_run(request)
        entries = await run_events.follow(self._context.engine, run, place.seq)
        framing = NumberedFrames(place, include_content=content)
        silence = self._context.comment_seconds
        return EventStream(entries, framing, silence, is_last=ends_run, is_over=run.is_terminal)

    async def trace(self, request: Request) -> Response:
        """GET …/trace: an addition of ours. What the run did and how long each part took."""
        run = await self._retrieve_run(request)
        steps = await runs.all_steps(self._context.engine, run)
        return json_response(response.to_rest_json(run_trace(run, steps)))

    async def step_page(self, request: Request) -> Response:
        """GET …/steps."""
        content = _includes_content(request)
        run, query = await self._retrieve_run(request), page_query(request.query_params)
        page = await runs.step_page(self._context.engine, caller_project(request), run, query)
        shown = (response.run_step(step, run_ended=run.is_terminal, include_content=content) for step in page.items)
        return json_response(response.to_rest_json(response.list_response(shown, has_more=page.has_more)))

    async def retrieve_step(self, request: Request) -> Response:
        """GET …/steps/{id}."""
        content = _includes_content(request)
        step_id = RunStepId(check_id(request.path_params["step_id"], "step_id"))
        run = await self._retrieve_run(request)
        step = await runs.retrieve_step(self._context.engine, caller_project(request), run, step_id)
        return json_response(
            response.to_rest_json(response.run_step(step, run_ended=run.is_terminal, include_content=content))
        )


def _run_response(context: ApiContext, run: Run) -> Response:
    return json_response(
        response.to_rest_json(response.run(run)), poll_headers(context, run.created_at, busy=not run.is_terminal)
    )


def _run_id(request: Request) -> RunId:
    return RunId(check_id(request.path_params["run_id"], "run_id"))


def _includes_content(request: Request) -> bool:
    return includes_content(request.query_params.getlist("include[]"))
