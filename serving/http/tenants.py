"""``/v1/admin/tenants``: whoever runs the platform lists and creates tenants, and sees nothing inside one."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import StringConstraints

from domain.roles import Role
from domain.tenants import TenantName, ZoneName
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import Refused, problems
from serving.http.problem_codes import declared
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, prefix="/v1/admin/tenants", tags=["administration"])
TENANT_EXISTS = declared("tenant.exists", 409, "A tenant has this name already; it was left as it is.")


class NewTenant(Frozen):
    """What a tenant is created with."""

    tenant: TenantName
    display_name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    time_zone: ZoneName = "UTC"
    is_sandbox: bool = False


class CreatedTenant(Frozen):
    """The new tenant's first key, of a tenant administrator, shown only now."""

    tenant: str
    key: str


class TenantEntry(Frozen):
    """A tenant as the platform sees it."""

    tenant: str
    display_name: str
    time_zone: str
    is_sandbox: bool


class TenantList(Frozen):
    """Every tenant, by name."""

    tenants: list[TenantEntry]


@router.get("", summary="List the tenants")
def get_tenants(
    caller: Annotated[Caller, permission("tenants:read")],  # noqa: ARG001 - its name is what limits the route
    parts: PartsOf,
) -> TenantList:
    """Return every tenant of this installation; a key with `*` does not allow that, it ends at its own tenant."""
    known = [each.model_dump(include=set(TenantEntry.model_fields)) for each in parts.tenants.all()]
    return TenantList(tenants=[TenantEntry.model_validate(each) for each in known])


@router.post("", status_code=201, summary="Create a tenant", responses=problems(409))
def post_tenant(
    caller: Annotated[Caller, permission("tenants:write")],
    body: Annotated[NewTenant, body_of(NewTenant)],
    parts: PartsOf,
) -> CreatedTenant:
    """Create a tenant and return the key of its administrator, which issues all others and sees no recipient."""
    wanted = body.model_dump(exclude={"tenant"})

    def issue() -> str:
        return parts.api_keys.issue(body.tenant, name="first", roles=[Role.TENANT_ADMIN.value], actor=caller.actor)

    tenant, key = parts.tenants.create_with_key(body.tenant, issue, **wanted, actor=caller.actor)
    if key is None:
        raise Refused(TENANT_EXISTS, "A tenant has this name already; it was left as it is.")
    return CreatedTenant(tenant=tenant.tenant, key=key)
