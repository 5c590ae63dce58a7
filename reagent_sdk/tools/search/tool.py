"""The search tool: several queries at once, through whatever provider answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import anyio
from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from reagent_sdk.framing import defuse
from reagent_sdk.tools.base import ToolResult
from reagent_sdk.tools.define import describe_problems
from reagent_sdk.tools.search.providers.base import SearchProvider
from reagent_sdk.tools.search.providers.default import default_providers
from reagent_sdk.tools.search.providers.first_of import FirstOf, NoProviderAnswered
from reagent_sdk.tools.search.results import Answer, reasons, render

MAX_QUERIES = 5
MAX_RESULTS = 20


def _several(given: object) -> object:
    """A single text as a list; also a list that was written as text, as small models do."""
    if isinstance(given, str):
        if given.lstrip().startswith("["):
            try:
                return json.loads(given)
            except (ValueError, RecursionError):
                return [given]
        return [given]
    return given


_Query = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")

    queries: Annotated[list[_Query], BeforeValidator(_several)] = Field(
        min_length=1,
        max_length=MAX_QUERIES,
        description="What to search for: one query for each thing you want to know. All run at once.",
        validation_alias=AliasChoices("queries", "query"),
    )
    max_results: int = Field(5, ge=1, le=MAX_RESULTS, description="Results for each query.")


class SearchTool:
    """Web or corpus search as a tool.

    Queries run at the same time; each asks the providers in order until one answers. Results are deduplicated across
    queries. When no provider answers, the result is an error that names each one's reason.

    One object may be shared by any number of agents, and should be: the limits on requests are kept by its providers.

    Args:
        providers: one provider, or several in the order in which they are asked; by default those of the environment,
            see `default_providers`.
        snippet_chars: longest snippet that is shown.

    Raises:
        InvalidInput: there is no provider, or one cannot search.
    """

    name = "search"
    description = (
        "Searches for pages and returns title, address and a snippet of each. Give several queries at once when you "
        "want to know several things."
    )

    def __init__(
        self, providers: SearchProvider | Sequence[SearchProvider] | None = None, *, snippet_chars: int = 900
    ) -> None:
        if providers is None:
            providers = default_providers()
        if isinstance(providers, FirstOf):
            self._providers = providers
        else:
            self._providers = FirstOf(providers if isinstance(providers, Sequence) else [providers])
        self._snippet_chars = snippet_chars

    def __repr__(self) -> str:
        return f"SearchTool({self._providers.name})"

    @property
    def parameters(self) -> Mapping[str, Any]:
        """JSON schema of the arguments."""
        schema = _Arguments.model_json_schema()
        schema.pop("title", None)
        return schema

    async def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Runs the queries."""
        try:
            given = _Arguments.model_validate(dict(arguments))
        except ValidationError as error:
            return ToolResult.failed("InvalidArguments", describe_problems(error))
        queries = list(
            {" ".join(query.split()).casefold(): " ".join(query.split()) for query in given.queries}.values()
        )
        answers: list[Answer | None] = [None] * len(queries)

        async def ask(place: int) -> None:
            answers[place] = await self._answer(queries[place], given.max_results)

        async with anyio.create_task_group() as tasks:
            for place in range(len(queries)):
                tasks.start_soon(ask, place)
        got = [answer for answer in answers if answer is not None]
        if all(answer.failed for answer in got):
            return ToolResult.failed("SearchUnavailable", f"no search provider answered: {defuse(reasons(got))}")
        return ToolResult(text=render(got, snippet_chars=self._snippet_chars))

    async def _answer(self, query: str, limit: int) -> Answer:
        try:
            found = await self._providers.find(query, limit)
        except NoProviderAnswered as error:
            return Answer(query, failures=error.failures, failed=True)
        return Answer(query, found.hits, found.failures)
