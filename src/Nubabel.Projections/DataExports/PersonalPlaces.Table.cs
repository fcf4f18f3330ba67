namespace Nubabel.Projections.DataExports;

public static partial class PersonalPlaces
{
    /// <summary>What, of which fate, where. Members stand by their names in JSON, columns by those of the engine's tables.</summary>
    private static (string What, string Fate, string Places)[] All =>
    [
        ("event", "account", """
            user_registered.email user_registered.name user_renamed.name user_suspended.reason user_removed.reason device_registered.name device_renamed.name device_revoked.reason
            """),
        ("read", "account", "devices.name devices.revocationReason members.name members.email"),
        ("event", "visit", "session_opened.ip session_opened.userAgent"),
        ("read", "visit", "audit.ip audit.userAgent sessions.ip sessions.userAgent"),
        ("origin", "visit", "ip userAgent"),
        ("event", "invited", "invitation_issued.email"),
        ("read", "invited", "invitations.email"),
        ("event", "held", "legal_hold_placed.reason legal_hold_released.reason"),
        ("read", "held", "legal_holds.reason legal_holds.releaseReason"),
        ("event", "operator", "operator_added.email"),
        ("event", "provider", "webhook_received.payload"),
        ("event", "register", "breach_recorded.facts.description breach_amended.facts.description"),
        ("read", "register", "breaches.state.facts.description"),
        ("message", "letter", "letter.letter"),
        ("message", "swept", "job.body long-job.body reset-wish.sealed"),
        ("message", "passing", "letter-order.body"),
        ("column", "swept", """
            dead_letters.attempts dead_letters.body dead_letters.edited dead_letters.error dead_letters.headers deferred_messages.body deferred_messages.headers messages.body messages.failures messages.headers
            deliveries.attempts deliveries.error idempotency.answer idempotency.key sealed_parts.bytes
            """),
        ("event", "hash", """
            user_registered.emailKey user_registered.passwordHash user_password_changed.passwordHash user_password_rehashed.passwordHash user_password_reset_requested.tokenHash user_password_reset.tokenHash
            user_password_reset.passwordHash invitation_issued.emailKey invitation_issued.tokenHash session_opened.tokenHash session_refreshed.tokenHash device_registered.nameKey device_renamed.nameKey
            api_key_made.secretHash api_key_rotated.secretHash consent_given.textHash operator_added.emailKey operator_added.passwordHash data_export_made.sha256 erasure_requested.codeHash
            webhook_received.twinHash webhook_source_added.secretHash webhook_source_rotated.secretHash
            """),
        ("column", "hash", "audit_chain.digests audit_chain.link audit_heads.link claims.value idempotency.request_hash schema_migrations.checksum"),
        ("event", "secret", "consumer_created.sealedSecret consumer_secret_rotated.sealedSecret webhook_source_added.sealedSecret webhook_source_rotated.sealedSecret"),
        ("column", "secret", "audit_keys.wrapped master_keys.root sealed_files.wrapped signing_keys.wrapped subject_keys.wrapped"),
        ("event", "id", """
            session_opened.holder sign_in_failed.account device_registered.publicKey device_key_changed.publicKey api_key_made.maker job_started.starter erasure_completed.statement
            projection_event_skipped.tenant projection_event_skipped.key projection_key_retried.tenant projection_key_retried.key dead_letter_replayed.tenant dead_letter_discarded.tenant dead_letter_read.tenant
            letter_sweep_started.selection.tenant attempt_denied.object attempt_refused.object personal_data_read.subjects personal_data_exported.filter
            """),
        ("message", "id", "event-delivery.stream"),
        ("origin", "id", "actor subject correlationId causationId traceParent"),
        ("column", "id", """
            claims.stream_id dead_letters.actor dead_letters.causation_id dead_letters.closed_by dead_letters.correlation_id dead_letters.key dead_letters.lane dead_letters.subject
            deferred_messages.actor deferred_messages.causation_id deferred_messages.correlation_id deferred_messages.key deferred_messages.lane deferred_messages.subject deliveries.source deliveries.stream
            erasures.subjects idempotency.scope idempotency.streams lanes.lane message_ids.once messages.actor messages.causation_id messages.correlation_id messages.key messages.lane messages.subject
            parked.key paused.by ready_lanes.lane rebuilds.started_by schedules.actor sealed_files.subject subject_keys.subject
            """),
        ("event", "words", """
            organization_suspended.reason organization_closure_scheduled.reason flag_created.description flag_described.description projection_paused.reason projection_event_skipped.reason
            dead_letter_replayed.reason dead_letter_discarded.reason letter_sweep_started.reason personal_data_read.purpose personal_data_exported.purpose
            """),
        ("event", "words", """
            breach_recorded.facts.source breach_recorded.facts.title breach_amended.facts.source breach_amended.facts.title breach_assessed.assessment.consequences breach_assessed.assessment.dataCategories
            breach_assessed.assessment.measures breach_assessed.assessment.peopleCategories breach_assessed.assessment.reason breach_closed.reason breach_people_exempted.reason
            breach_reported.report.authority breach_reported.report.content breach_reported.report.delayReason breach_reported.report.reference
            breach_worded.text.advice breach_worded.text.consequences breach_worded.text.contact breach_worded.text.measures breach_worded.text.subject breach_worded.text.whatHappened
            breach_notice_given.content.dataCategories breach_notice_given.content.text.advice breach_notice_given.content.text.consequences breach_notice_given.content.text.contact
            breach_notice_given.content.text.measures breach_notice_given.content.text.subject breach_notice_given.content.text.whatHappened
            """),
        ("event", "code", "breach_closed.undone"),
        ("origin", "words", "reason"),
        ("column", "words", "paused.reason"),
        ("event", "organization", """
            organization_founded.name organization_founded.slug organization_renamed.name api_key_made.name purpose_declared.key purpose_declared.title purpose_declared.text purpose_rewritten.title purpose_rewritten.text
            consent_given.purpose consent_given.channel consent_withdrawn.purpose consent_withdrawn.channel consumer_created.name consumer_created.url consumer_created.description consumer_renamed.name
            consumer_described.description consumer_url_changed.url webhook_received.contentType webhook_received.eventId webhook_received.eventType webhook_source_added.name
            """),
        ("column", "organization", "circuit_breakers.error circuit_breakers.name directory.organization directory.slug routes.doc routes.route"),
        ("event", "code", """
            organization_plan_changed.plan flag_created.key flag_rule_added.rule.percentage flag_rules_replaced.rules.percentage api_key_made.scopes consumer_created.types consumer_types_chosen.types job_started.kind
            dead_letter_replayed.queue dead_letter_replayed.type dead_letter_discarded.queue dead_letter_discarded.type dead_letter_read.queue dead_letter_read.type letter_sweep_started.selection.queue
            letter_sweep_started.selection.type letter_sweep_started.selection.cause letter_sweep_started.selection.state attempt_denied.operation attempt_denied.required attempt_refused.operation attempt_refused.code
            personal_data_read.operation personal_data_exported.operation webhook_received.provider webhook_source_added.provider
            """),
        ("message", "code", "job.kind long-job.kind"),
        ("column", "code", """
            circuit_breakers.state claims.scope dead_letters.cause dead_letters.queue dead_letters.state dead_letters.type deferred_messages.queue deferred_messages.type deliveries.state deliveries.type directory.shard directory.state
            flag_counts.flag lanes.queue message_ids.queue messages.queue messages.type orders_applied.progression parked.name paused.progression ready_lanes.queue rebuilds.kind rebuilds.name rebuilds.phase
            rebuilds.progression rebuilds.state routes.fan_out schedules.cron schedules.key schedules.name schedules.queue schedules.type schedules.zone schema_migrations.name workers.queue
            """),
        ("event", "engine", "job_completed.outcome.link job_completed.outcome.data job_failed.error.code job_failed.error.detail"),
        ("column", "engine", """
            audit_checkpoints.statement audit_keys.kid audit_keys.public key_watch.master master_keys.fingerprint message_runs.note nodes.name nodes.progressions nodes.takes parked.error rebuilds.error rebuilds.node
            schedules.body schedules.missed signing_keys.kid signing_keys.public stamps.name stamps.value workers.node
            """),
    ];
}
