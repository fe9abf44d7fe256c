"""A person in jobs that have not ended: what a job was asked for is sealed for the tenant and goes when it ends."""

from sqlalchemy import Connection, select

from adapters.personal_data.places import NotYet, Person
from adapters.postgres import jobs, plans
from adapters.postgres.job_tables import job
from domain.jobs import JobState


class OpenJobs:
    """Jobs that name the person: they end first, which empties them; the person's own items are refused meanwhile."""

    name = "job"

    def erase(self, connection: Connection, person: Person) -> int:
        """Make sure that no job that goes on names the person.

        Raises:
            NotYet: one does, or the person is in a plan that goes on.
        """
        going = select(job.c.job_id, job.c.payload).where(
            job.c.state.in_((JobState.QUEUED.value, JobState.RUNNING.value))
        )
        if person.recipient_id in plans.people_under_way(connection, person.tenant):
            raise NotYet("a plan that the person is in has not ended")
        waiting = {row.job_id: row.payload for row in connection.execute(going) if row.payload is not None}
        for payload in jobs.opened(connection, person.tenant, waiting):
            if _names(payload, person.recipient_id):
                raise NotYet("a job that names the person has not ended")
        return 0


def _names(value: object, wanted: str) -> bool:
    if isinstance(value, dict):
        return any(_names(each, wanted) for pair in value.items() for each in pair)
    if isinstance(value, list):
        return any(_names(each, wanted) for each in value)
    return value == wanted
