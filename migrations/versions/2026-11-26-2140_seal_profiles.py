"""Keep a profile as one sealed document; what is there already is kept aside, readable, until it is sealed."""

from alembic import op

revision = "seal_profiles"
down_revision = "subject_keys"
branch_labels = None
depends_on = None

CHANGES = """
ALTER TABLE profile ADD COLUMN document BYTEA;
ALTER TABLE profile ADD COLUMN unsealed JSONB;
UPDATE profile SET unsealed = jsonb_strip_nulls(jsonb_build_object(
    'locale', locale, 'country', country, 'channels', reachability, 'attributes', attributes,
    'time_zone', CASE WHEN time_zone IS NOT NULL THEN jsonb_build_object(
        'name', time_zone, 'source', time_zone_source, 'confidence', time_zone_confidence) END))
WHERE deleted_at IS NULL;
ALTER TABLE profile
    DROP COLUMN locale, DROP COLUMN country, DROP COLUMN time_zone_source, DROP COLUMN time_zone_confidence,
    DROP COLUMN reachability, DROP COLUMN attributes;
COMMENT ON COLUMN profile.time_zone IS 'for the local time of events; everything else is in the document';
COMMENT ON COLUMN profile.document IS 'the whole profile, sealed for this version';
COMMENT ON COLUMN profile.unsealed IS 'a profile from before documents were sealed';
"""


def upgrade() -> None:
    op.execute(CHANGES)
