"""Whether the judge and the model that a spec names can be used, found out without a paid call."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from reagent_sdk.cli.checks import Check
from reagent_sdk.cli.terminal import one_line
from reagent_sdk.errors import BadReply, InvalidInput, ModelError, ModelRejected, ReagentError

_SECONDS = 3.0
_LONGEST_LIST = 2**20


async def judge_checks(spec: str, origin: str) -> list[Check]:
    """Which judge it would be, and whether it can be used."""
    from reagent_sdk.judges.base import caveat_of
    from reagent_sdk.specs import judge_for

    try:
        judge = judge_for(spec)
    except ReagentError as error:
        return [Check("judge", "fail", f"{one_line(_shown(spec))} ({origin})", str(error))]
    try:
        gate = "no accept gate" if judge.gate is None else f"accept gate {judge.gate:.2f}"
        checks = [Check("judge", "ok", f"{judge.name} ({origin}), {gate}")]
        caveat = caveat_of(judge)
        if caveat:
            checks.append(Check("judge", "info", caveat))
    finally:
        await judge.aclose()
    return [*checks, *await _reach("judge", spec)]


async def model_checks(spec: str) -> list[Check]:
    """Whether the model can be used."""
    from reagent_sdk.specs import client_for

    try:
        client = client_for(spec)
    except ReagentError as error:
        return [Check("model", "fail", one_line(_shown(spec)), str(error))]
    name = client.name
    await client.aclose()
    return [Check("model", "ok", name), *await _reach("model", spec)]


def _shown(spec: str) -> str:
    """The spec as it may be shown: an address can hold a password."""
    from reagent_sdk.secrets import redact

    return redact(spec)


async def _reach(role: str, spec: str) -> list[Check]:
    if spec.startswith(("http://", "https://")):
        return [await _endpoint(f"{role} endpoint", spec)]
    if spec.startswith("hf:"):
        return [Check(role, "info", "the weights are looked for on the first call")]
    if spec == "local" or spec.startswith("local:"):
        found = find_spec("xllamacpp") is not None
        return [] if found else [Check(f"{role} engine", "fail", "xllamacpp is not installed", "pip install xllamacpp")]
    return [_provider(f"{role} key", spec)]


async def _endpoint(name: str, spec: str) -> Check:
    """Asks the server for its models, once and with little patience."""
    url, _, model = spec.partition("#")
    try:
        listed = await _listed(url)
    except ModelRejected as error:
        if error.status in (404, 405):
            return Check(name, "ok", "answers, but does not list its models")
        return Check(name, "fail", str(error), "check the address and $REAGENT_API_KEY")
    except (ModelError, InvalidInput) as error:
        fix = "check the address: something else answers there" if isinstance(error, BadReply) else "start the server"
        return Check(name, "fail", str(error), f"{fix}, or name another judge or model")
    rows = listed.get("data")
    names = [str(row.get("id")) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    if model and names and model not in names:
        return Check(name, "info", f"answers, but lists {one_line(', '.join(names))} and not {model}")
    return Check(name, "ok", f"answers and serves {one_line(', '.join(names)) or 'no model by name'}")


async def _listed(url: str) -> dict[str, Any]:
    import aiohttp

    from reagent_sdk.clients.endpoints import Endpoint
    from reagent_sdk.clients.exchange import Exchange

    endpoint = Endpoint.of(url, None)
    exchange = Exchange(endpoint, endpoint.url, _LONGEST_LIST)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as session:
        return await exchange.get(session, "/models")


def _provider(name: str, model: str) -> Check:
    if find_spec("litellm") is None:
        return Check(name, "fail", "litellm is not installed", "pip install litellm")
    missing = missing_keys(model)
    if missing:
        return Check(name, "fail", f"not set: {', '.join(missing)}", f"export {missing[0]}=...")
    return Check(name, "info", "nothing is missing; whether it works, only a call can tell")


def missing_keys(model: str) -> list[str]:
    """The environment variables that litellm would need for this model. Takes seconds: litellm has to be imported."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else the import fetches a price list
    import litellm

    return [str(key) for key in litellm.validate_environment(model=model).get("missing_keys") or ()]
