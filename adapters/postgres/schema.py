"""The whole schema in one place: every module that describes tables, for migrations' tests and the house rules.

A subject with tables of its own describes them in a module ``<subject>_tables`` on the same ``metadata``, and adds
itself here.
"""

from adapters.postgres import (
    attribute_schema_tables,
    audit_tables,
    business_rule_tables,
    change_tables,
    contact_tables,
    erasure_tables,
    export_tables,
    follow_up_tables,
    hook_tables,
    idempotency_tables,
    job_tables,
    law_tables,
    pause_tables,
    plan_tables,
    preference_sync_tables,
    preference_tables,
    preference_template_tables,
    profile_tables,
    retention_tables,
    rights_tables,
    service_level_tables,
    subject_key_tables,
    tables,
    variant_belief_tables,
)

SUBJECTS = (
    tables,
    attribute_schema_tables,
    audit_tables,
    business_rule_tables,
    change_tables,
    contact_tables,
    erasure_tables,
    export_tables,
    follow_up_tables,
    hook_tables,
    idempotency_tables,
    job_tables,
    law_tables,
    pause_tables,
    plan_tables,
    preference_sync_tables,
    preference_tables,
    preference_template_tables,
    profile_tables,
    retention_tables,
    rights_tables,
    service_level_tables,
    subject_key_tables,
    variant_belief_tables,
)
metadata = tables.metadata
APPEND_ONLY = (
    *tables.APPEND_ONLY,
    *attribute_schema_tables.APPEND_ONLY,
    *audit_tables.APPEND_ONLY,
    *business_rule_tables.APPEND_ONLY,
    *erasure_tables.APPEND_ONLY,
    *law_tables.APPEND_ONLY,
    *preference_sync_tables.APPEND_ONLY,
    *preference_tables.APPEND_ONLY,
    *preference_template_tables.APPEND_ONLY,
    *profile_tables.APPEND_ONLY,
    *rights_tables.APPEND_ONLY,
    *service_level_tables.APPEND_ONLY,
)
