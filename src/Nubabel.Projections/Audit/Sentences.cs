namespace Nubabel.Projections.Audit;

/// <summary>
/// What each event says in a sentence, by its alias: the one place where these are written. <c>{member}</c> is a value of the event, <c>{before.member}</c> what it replaced, and a form may follow
/// behind a colon (<see cref="Sentence"/>). What stands in brackets is left out where one of its values is missing. Of two texts, separated by a bar, the first is for who acts on oneself.
/// </summary>
public static class Sentences
{
    /// <summary>Of an event that another program wrote, or a newer version.</summary>
    public const string OfUnknown = "{actor} wrote the event {action} on {object}";

    private static readonly (string Alias, string Text)[] Table =
    [
        ("organization_founded", "{actor} founded the organization {name}"),
        ("organization_renamed", "{actor} renamed the organization[ from {before.name}] to {name}"),
        ("organization_owner_added", "{actor} made {owner:person} an owner"),
        ("organization_owner_removed", "{actor} removed {owner:person} from the owners"),
        ("organization_suspended", "{actor} suspended the organization[ because of {reason}]"),
        ("organization_reactivated", "{actor} reactivated the organization"),
        ("organization_closure_scheduled", "{actor} ordered that the organization be closed on {closesAt:time}[ because of {reason}]"),
        ("organization_closure_cancelled", "{actor} took back that the organization be closed"),
        ("organization_closed", "{actor} closed the organization"),
        ("organization_plan_changed", "{actor} changed the plan[ from {before.plan:word}] to {plan:word}"),
        ("organization_limits_set", "{actor} set the limits of the organization"),

        ("user_registered", "{actor} opened an account as {role:word}|{actor} opened an account for {object} as {role:word}"),
        ("user_renamed", "{actor} changed their name[ from {before.name}] to {name}|{actor} changed a member's name[ from {before.name}] to {name}"),
        ("user_role_changed", "{actor} changed their own role[ from {before.role:word}] to {role:word}|{actor} changed the role of {object}[ from {before.role:word}] to {role:word}"),
        ("user_suspended", "{actor} suspended {object}[ because of {reason}]"),
        ("user_reinstated", "{actor} reinstated {object}"),
        ("user_left", "{actor} left the organization|{object} left the organization, by {actor}"),
        ("user_removed", "{actor} removed {object} from the organization[ because of {reason}]"),
        ("user_password_changed", "{actor} changed their password|{actor} changed the password of {object}"),
        ("user_password_rehashed", "The stored form of the password of {object} was renewed"),
        ("user_password_reset_requested", "A link for a new password was asked for, for {object}"),
        ("user_password_reset", "{actor} set a new password by a mailed link|{actor} set a new password for {object} by a mailed link"),

        ("invitation_issued", "{actor} invited {email} as {role:word}"),
        ("invitation_withdrawn", "{actor} withdrew the invitation of {object}"),
        ("invitation_expired", "The invitation of {object} ran out"),
        ("invitation_accepted", "{user:person} accepted an invitation"),

        ("session_opened", "{actor} signed in"),
        ("session_refreshed", "{actor} stayed signed in"),
        ("session_refresh_reused", "A used-up token of {actor} was used again, and the sign-in was ended"),
        ("session_revoked", "{actor} ended a sign-in ({reason:word})"),
        ("sign_in_failed", "Somebody failed to sign in[ to the account of {account:stream}] (failure {number:word})"),
        ("sign_in_locked", "Signing in was locked until {until:time} after too many failures"),
        ("sign_in_cleared", "The count of failed sign-ins began anew"),

        ("device_registered", "{actor} registered the {type:word} device {name}"),
        ("device_renamed", "{actor} renamed the device[ {before.name}] to {name}"),
        ("device_key_changed", "{actor} changed the public key of the device {object}"),
        ("device_revoked", "{actor} revoked the device {object}[ because of {reason}]"),
        ("device_deleted", "{actor} deleted the device {object}"),

        ("flag_created", "{actor} created the flag {key}, {enabled:onoff}"),
        ("flag_described", "{actor} described the flag {object} as {description}"),
        ("flag_enabled", "{actor} switched the flag {object} on"),
        ("flag_disabled", "{actor} switched the flag {object} off"),
        ("flag_rule_added", "{actor} added a rule ({rule.type:word}) to the flag {object}"),
        ("flag_rules_replaced", "{actor} replaced the rules of the flag {object}"),
        ("flag_rule_removed", "{actor} removed a rule of the flag {object}"),
        ("flag_override_set", "{actor} switched the flag {object} {enabled:onoff} for the organization {organizationId:word}[ until {expiresAt:time}]"),
        ("flag_override_removed", "{actor} removed the exception of the organization {organizationId:word} from the flag {object}"),
        ("flag_archived", "{actor} archived the flag {object}"),

        ("api_key_made", "{actor} made the API key {name}[ with {scopes:list}]"),
        ("api_key_rotated", "{actor} replaced the secret of the API key {object}; the old one works until {oldValidUntil:time}"),
        ("api_key_revoked", "{actor} revoked the API key {object}"),

        ("consumer_created", "{actor} made the consumer {name} for {url}"),
        ("consumer_renamed", "{actor} renamed the consumer[ {before.name}] to {name}"),
        ("consumer_described", "{actor} described the consumer {object} as {description}"),
        ("consumer_url_changed", "{actor} changed the address of the consumer {object}[ from {before.url}] to {url}"),
        ("consumer_types_chosen", "{actor} chose the events of the consumer {object}[: {types:list}]"),
        ("consumer_order_changed", "{actor} switched the order of the consumer {object} {ordered:onoff}"),
        ("consumer_paused", "{actor} paused the consumer {object}"),
        ("consumer_activated", "{actor} activated the consumer {object}"),
        ("consumer_disabled", "{actor} disabled the consumer {object} ({because:word})"),
        ("consumer_secret_rotated", "{actor} replaced the secret of the consumer {object}; the old one works until {oldValidUntil:time}"),
        ("consumer_overlap_ended", "{actor} ended the old secret of the consumer {object}"),
        ("consumer_delivery_resent", "{actor} had an event sent to the consumer {object} again"),
        ("consumer_replayed", "{actor} had {events:word} events sent to the consumer {object} again"),
        ("consumer_removed", "{actor} removed the consumer {object}"),

        ("purpose_declared", "{actor} declared the purpose {title}"),
        ("purpose_rewritten", "{actor} wrote a new text ({textVersion:word}) for the purpose {title}"),
        ("purpose_requirement_set", "{actor} switched the requirement of the purpose {object} {required:onoff}"),
        ("purpose_retired", "{actor} retired the purpose {object}"),
        ("consent_given", "{actor} agreed to {purpose} (text {textVersion:word})[ on {channel:word}]"),
        ("consent_withdrawn", "{actor} withdrew the consent to {purpose}[ on {channel:word}]"),

        ("legal_hold_placed", "{actor} placed a legal hold[ on the data of {person:person}] because of {reason}"),
        ("legal_hold_released", "{actor} released a legal hold because of {reason}"),
        ("hold_register_opened", "The register of legal holds was opened"),
        ("hold_register_entered", "A legal hold was entered into the register[, on the data of {person:person}]"),
        ("hold_register_lifted", "A legal hold was taken out of the register"),
        ("hold_register_erasure_admitted", "No legal hold kept the erasure of {person:person}"),

        ("erasure_requested", "{actor} asked for their own erasure|{actor} asked for the erasure of {account:person}"),
        ("erasure_completed", "The erasure of a person was completed"),

        ("breach_recorded", "{actor} recorded the breach {facts.title}"),
        ("breach_amended", "{actor} amended the facts of the breach {object}"),
        ("breach_assessed", "{actor} assessed the breach {object}"),
        ("breach_scope_set", "{actor} set whom the breach {object} concerns"),
        ("breach_reported", "{actor} recorded the report of the breach {object} to the authority"),
        ("breach_worded", "{actor} worded the letter ({number:word}) about the breach {object} to its {audience:word}"),
        ("breach_people_exempted", "{actor} decided that people need not be told of the breach {object} ({ground:word}) because of {reason}"),
        ("breach_notification_ordered", "{actor} ordered letter {number:word} about the breach {object} to its {audience:word}"),
        ("breach_notification_completed", "Letter {number:word} about the breach {object} went to its {audience:word}"),
        ("breach_closed", "{actor} closed the breach {object}[ because of {reason}]"),
        ("breach_reopened", "{actor} opened the breach {object} again"),
        ("breach_notice_given", "{actor} told the organization of a breach (notice {number:word})"),
        ("breach_letter_ordered", "A letter about a breach was ordered for {user:person}"),
        ("breach_letter_sent", "A letter about a breach was sent"),
        ("breach_letter_failed", "A letter about a breach could not be sent ({fault:word})"),

        ("retention_policy_set", "{actor} set how long {object} is kept: {days:word} days[, {before.days:word} before]"),
        ("retention_policy_cleared", "{actor} took back how long {object} is kept"),
        ("retention_run_begun", "{actor} began to delete what is kept no longer ({trigger:word})"),
        ("retention_run_carried_out", "{removed:word} of {category} were deleted, kept {days:word} days[ ({held:word} held)]"),
        ("retention_run_ended", "Deleting what is kept no longer ended ({how:word}): {removed:word} deleted, {held:word} held"),
        ("retention_round_made", "The round of retention was made: {due:word} organizations were due"),

        ("operator_added", "{actor} added the operator {email}"),
        ("operator_removed", "{actor} removed the operator {object}"),

        ("job_started", "{actor} started the job {kind}"),
        ("job_completed", "The job {object} was completed"),
        ("job_failed", "The job {object} failed[ ({error.code:word})]"),
        ("job_requeued", "{actor} had the job {object} begin again"),
        ("job_cancelled", "{actor} cancelled the job {object}"),

        ("data_export_made", "An export of what is held ({scope:word}) was made for {owner:person}"),
        ("data_export_read", "{actor} read an export of what is held ({scope:word})"),
        ("data_export_downloaded", "{actor} downloaded an export of what is held"),
        ("data_export_deleted", "{actor} deleted an export of what is held"),

        ("projection_paused", "{actor} paused the read model {object}[ because of {reason}]"),
        ("projection_resumed", "{actor} resumed the read model {object}"),
        ("projection_event_skipped", "{actor} skipped the event at {position:word} for the read model {object} because of {reason}"),
        ("projection_key_retried", "{actor} had parked events of the read model {object} tried again"),
        ("projection_rebuild_started", "{actor} started to build the read model {object} anew"),
        ("projection_rebuild_ended", "Building the read model {object} anew ended ({outcome:word})"),

        ("dead_letter_replayed", "{actor} had a dead letter of the queue {queue} handled again[ because of {reason}]"),
        ("dead_letter_discarded", "{actor} discarded a dead letter of the queue {queue} because of {reason}"),
        ("dead_letter_read", "{actor} looked into a dead letter of the queue {queue}"),
        ("letter_sweep_started", "{actor} began to {kind:word} {expected:word} dead letters[ because of {reason}]"),
        ("letter_sweep_ended", "An act on dead letters ended with {done:word} of them"),

        ("attempt_denied", "{actor} was denied {operation:word} for want of {required:word}[ ({count:times})]"),
        ("attempt_refused", "{actor} was refused {operation:word} ({code:word})[ ({count:times})]"),
        ("attempt_overflowed", "{actor} was turned away {count:word} times in further ways"),

        ("personal_data_read", "{actor} looked at personal data of {subjects:people}[ for {purpose:word}] ({operation:word})"),
        ("personal_data_exported", "{actor} exported the audit trail[ for {purpose:word}] ({operation:word})"),

        ("webhook_received", "A webhook of {provider} was received[ ({eventType:word})]"),
        ("webhook_source_added", "{actor} added a source of webhooks of {provider}"),
        ("webhook_source_rotated", "{actor} replaced the secret of the source of webhooks {object}; the old one works until {oldValidUntil:time}"),
        ("webhook_source_removed", "{actor} removed the source of webhooks {object}"),

        ("processing_record_created", "{actor} created the processing record {description.name}"),
        ("processing_record_revised", "{actor} revised the processing record {object}"),
        ("processing_record_archived", "{actor} archived the processing record {object}"),
        ("processing_record_restored", "{actor} restored the processing record {object}"),
    ];

    public static IReadOnlyDictionary<string, string> All { get; } = Table.ToDictionary(s => s.Alias, s => s.Text);
}
