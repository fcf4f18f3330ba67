using System.Text.Json;
using System.Text.Json.Nodes;
using Nubabel.Domain.ApiKeys;
using Nubabel.Domain.Attempts;
using Nubabel.Domain.Breaches;
using Nubabel.Domain.Consents;
using Nubabel.Domain.Consumers;
using Nubabel.Domain.DataExports;
using Nubabel.Domain.Devices;
using Nubabel.Domain.Erasures;
using Nubabel.Domain.Flags;
using Nubabel.Domain.Invitations;
using Nubabel.Domain.Jobs;
using Nubabel.Domain.LegalHolds;
using Nubabel.Domain.Messages;
using Nubabel.Domain.Operators;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.ProcessingRecords;
using Nubabel.Domain.Projections;
using Nubabel.Domain.Reads;
using Nubabel.Domain.Retention;
using Nubabel.Domain.Sessions;
using Nubabel.Domain.SignIns;
using Nubabel.Domain.Users;
using Nubabel.Domain.Webhooks;

namespace Nubabel.Domain;

/// <summary>One stored event type.</summary>
/// <param name="Alias">What the log calls it, <c>&lt;kind&gt;_&lt;what&gt;</c>; never changed, never given to another.</param>
/// <param name="Type">What it is read as today.</param>
/// <param name="Upcasts">Steps from older shapes to today's: the n-th makes shape n+1 out of shape n.</param>
public sealed record CatalogEntry(string Alias, Type Type, params Func<JsonObject, JsonObject>[] Upcasts);

/// <summary>Every event that is stored, slice by slice. An event that is not here cannot be appended; an alias that is here is forever.</summary>
public static class EventCatalog
{
    public static IReadOnlyList<CatalogEntry> All { get; } =
    [
        // Organizations
        new("organization_founded", typeof(OrganizationFounded)),
        new("organization_renamed", typeof(OrganizationRenamed)),
        new("organization_owner_added", typeof(OrganizationOwnerAdded)),
        new("organization_owner_removed", typeof(OrganizationOwnerRemoved)),
        new("organization_suspended", typeof(OrganizationSuspended)),
        new("organization_reactivated", typeof(OrganizationReactivated)),
        new("organization_closure_scheduled", typeof(OrganizationClosureScheduled)),
        new("organization_closure_cancelled", typeof(OrganizationClosureCancelled)),
        new("organization_closed", typeof(OrganizationClosed)),
        new("organization_plan_changed", typeof(OrganizationPlanChanged)),
        new("organization_limits_set", typeof(OrganizationLimitsSet)),

        // Users
        new("user_registered", typeof(UserRegistered)),
        new("user_renamed", typeof(UserRenamed)),
        new("user_role_changed", typeof(UserRoleChanged)),
        new("user_suspended", typeof(UserSuspended), SealedLater("reason")),
        new("user_reinstated", typeof(UserReinstated)),
        new("user_left", typeof(UserLeft)),
        new("user_removed", typeof(UserRemoved), SealedLater("reason")),
        new("user_password_changed", typeof(UserPasswordChanged)),
        new("user_password_rehashed", typeof(UserPasswordRehashed)),
        new("user_password_reset_requested", typeof(UserPasswordResetRequested)),
        new("user_password_reset", typeof(UserPasswordReset)),

        // Invitations
        new("invitation_issued", typeof(InvitationIssued)),
        new("invitation_withdrawn", typeof(InvitationWithdrawn)),
        new("invitation_expired", typeof(InvitationExpired)),
        new("invitation_accepted", typeof(InvitationAccepted)),

        // Sessions
        new("session_opened", typeof(SessionOpened)),
        new("session_refreshed", typeof(SessionRefreshed)),
        new("session_refresh_reused", typeof(SessionRefreshReused)),
        new("session_revoked", typeof(SessionRevoked)),

        // Sign-ins that were refused
        new("sign_in_failed", typeof(SignInFailed)),
        new("sign_in_locked", typeof(SignInLocked)),
        new("sign_in_cleared", typeof(SignInCleared)),

        // Devices
        new("device_registered", typeof(DeviceRegistered), SealedLater("name", "nameKey")),
        new("device_renamed", typeof(DeviceRenamed), SealedLater("name", "nameKey")),
        new("device_key_changed", typeof(DeviceKeyChanged)),
        new("device_revoked", typeof(DeviceRevoked), SealedLater("reason")),
        new("device_deleted", typeof(DeviceDeleted)),

        // Flags
        new("flag_created", typeof(FlagCreated)),
        new("flag_described", typeof(FlagDescribed)),
        new("flag_enabled", typeof(FlagEnabled)),
        new("flag_disabled", typeof(FlagDisabled)),
        new("flag_rule_added", typeof(FlagRuleAdded)),
        new("flag_rules_replaced", typeof(FlagRulesReplaced)),
        new("flag_rule_removed", typeof(FlagRuleRemoved)),
        new("flag_override_set", typeof(FlagOverrideSet)),
        new("flag_override_removed", typeof(FlagOverrideRemoved)),
        new("flag_archived", typeof(FlagArchived)),

        // API keys
        new("api_key_made", typeof(ApiKeyMade)),
        new("api_key_rotated", typeof(ApiKeyRotated)),
        new("api_key_revoked", typeof(ApiKeyRevoked)),

        // Breaches
        new("breach_recorded", typeof(BreachRecorded)),
        new("breach_amended", typeof(BreachAmended)),
        new("breach_assessed", typeof(BreachAssessed)),
        new("breach_scope_set", typeof(BreachScopeSet)),
        new("breach_reported", typeof(BreachReported)),
        new("breach_worded", typeof(BreachWorded)),
        new("breach_people_exempted", typeof(BreachPeopleExempted)),
        new("breach_notification_ordered", typeof(BreachNotificationOrdered)),
        new("breach_notification_completed", typeof(BreachNotificationCompleted)),
        new("breach_closed", typeof(BreachClosed)),
        new("breach_reopened", typeof(BreachReopened)),
        new("breach_notice_given", typeof(BreachNoticeGiven)),
        new("breach_letter_ordered", typeof(BreachLetterOrdered)),
        new("breach_letter_sent", typeof(BreachLetterSent)),
        new("breach_letter_failed", typeof(BreachLetterFailed)),

        // Consents
        new("purpose_declared", typeof(PurposeDeclared)),
        new("purpose_rewritten", typeof(PurposeRewritten)),
        new("purpose_requirement_set", typeof(PurposeRequirementSet)),
        new("purpose_retired", typeof(PurposeRetired)),
        new("consent_given", typeof(ConsentGiven)),
        new("consent_withdrawn", typeof(ConsentWithdrawn)),

        // Processing records
        new("processing_record_created", typeof(ProcessingRecordCreated)),
        new("processing_record_revised", typeof(ProcessingRecordRevised)),
        new("processing_record_archived", typeof(ProcessingRecordArchived)),
        new("processing_record_restored", typeof(ProcessingRecordRestored)),

        // Consumers
        new("consumer_created", typeof(ConsumerCreated)),
        new("consumer_renamed", typeof(ConsumerRenamed)),
        new("consumer_described", typeof(ConsumerDescribed)),
        new("consumer_url_changed", typeof(ConsumerUrlChanged)),
        new("consumer_types_chosen", typeof(ConsumerTypesChosen)),
        new("consumer_order_changed", typeof(ConsumerOrderChanged)),
        new("consumer_paused", typeof(ConsumerPaused)),
        new("consumer_activated", typeof(ConsumerActivated)),
        new("consumer_disabled", typeof(ConsumerDisabled)),
        new("consumer_secret_rotated", typeof(ConsumerSecretRotated)),
        new("consumer_overlap_ended", typeof(ConsumerOverlapEnded)),
        new("consumer_delivery_resent", typeof(ConsumerDeliveryResent)),
        new("consumer_replayed", typeof(ConsumerReplayed)),
        new("consumer_removed", typeof(ConsumerRemoved)),

        // Operators
        new("operator_added", typeof(OperatorAdded)),
        new("operator_removed", typeof(OperatorRemoved)),

        // Jobs
        new("job_started", typeof(JobStarted)),
        new("job_completed", typeof(JobCompleted)),
        new("job_failed", typeof(JobFailed)),
        new("job_requeued", typeof(JobRequeued)),
        new("job_cancelled", typeof(JobCancelled)),

        // Data exports
        new("data_export_made", typeof(DataExportMade)),
        new("data_export_read", typeof(DataExportRead)),
        new("data_export_downloaded", typeof(DataExportDownloaded)),
        new("data_export_deleted", typeof(DataExportDeleted)),

        // Erasures
        new("erasure_requested", typeof(ErasureRequested)),
        new("erasure_completed", typeof(ErasureCompleted)),

        // Legal holds
        new("legal_hold_placed", typeof(LegalHoldPlaced)),
        new("legal_hold_released", typeof(LegalHoldReleased)),
        new("hold_register_opened", typeof(HoldRegisterOpened)),
        new("hold_register_entered", typeof(HoldRegisterEntered)),
        new("hold_register_lifted", typeof(HoldRegisterLifted)),
        new("hold_register_erasure_admitted", typeof(HoldRegisterErasureAdmitted)),

        // Retention
        new("retention_policy_set", typeof(RetentionPolicySet)),
        new("retention_policy_cleared", typeof(RetentionPolicyCleared)),
        new("retention_run_begun", typeof(RetentionRunBegun)),
        new("retention_run_carried_out", typeof(RetentionRunCarriedOut)),
        new("retention_run_ended", typeof(RetentionRunEnded)),
        new("retention_round_made", typeof(RetentionRoundMade)),

        // Projections
        new("projection_paused", typeof(ProjectionPaused)),
        new("projection_resumed", typeof(ProjectionResumed)),
        new("projection_event_skipped", typeof(ProjectionEventSkipped)),
        new("projection_key_retried", typeof(ProjectionKeyRetried)),
        new("projection_rebuild_started", typeof(ProjectionRebuildStarted)),
        new("projection_rebuild_ended", typeof(ProjectionRebuildEnded)),

        // Dead letters
        new("dead_letter_replayed", typeof(DeadLetterReplayed)),
        new("dead_letter_discarded", typeof(DeadLetterDiscarded)),
        new("dead_letter_read", typeof(DeadLetterRead)),
        new("letter_sweep_started", typeof(LetterSweepStarted)),
        new("letter_sweep_ended", typeof(LetterSweepEnded)),

        // Attempts
        new("attempt_denied", typeof(AttemptDenied)),
        new("attempt_refused", typeof(AttemptRefused)),
        new("attempt_overflowed", typeof(AttemptOverflowed)),

        // Reads of personal data
        new("personal_data_read", typeof(PersonalDataRead)),
        new("personal_data_exported", typeof(PersonalDataExported)),

        // Webhooks
        new("webhook_received", typeof(WebhookReceived)),
        new("webhook_source_added", typeof(WebhookSourceAdded)),
        new("webhook_source_rotated", typeof(WebhookSourceRotated)),
        new("webhook_source_removed", typeof(WebhookSourceRemoved)),
    ];

    /// <summary>The step to a shape in which a text that was stored in the clear is sealed: an event from before stays readable, and stays in the clear.</summary>
    /// <param name="key">Where today's shape has the keyed hash of the text; of an old one it is the folded text itself, which its claim was taken by.</param>
    private static Func<JsonObject, JsonObject> SealedLater(string member, string? key = null) => data =>
    {
        if (data[member] is not JsonValue value || !value.TryGetValue<string>(out var text)) return data;
        data[member] = JsonSerializer.SerializeToNode(Personal.Unsealed(text));
        if (key is not null) data[key] = Text.Fold(text);
        return data;
    };
}
