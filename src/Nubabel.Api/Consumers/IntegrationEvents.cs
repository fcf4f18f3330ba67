using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.ApiKeys;
using Nubabel.Domain.Breaches;
using Nubabel.Domain.Consents;
using Nubabel.Domain.Consumers;
using Nubabel.Domain.Devices;
using Nubabel.Domain.Invitations;
using Nubabel.Domain.Jobs;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Sessions;
using Nubabel.Domain.Users;
using Nubabel.Domain.Webhooks;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Consumers;

/// <summary>One type of integration event: what of a stored event is told to the outside, and as what.</summary>
/// <param name="Alias">Of the stored event.</param>
/// <param name="Type">The public type; a change that a receiver could notice needs a new version of it.</param>
/// <param name="Shape">The .NET type of the public data.</param>
/// <param name="Map">Pure; personal values stay sealed until they are sent.</param>
public sealed record IntegrationEvent(string Alias, string Type, string Description, Type Shape, Func<Recorded, object> Map);

/// <summary>
/// The public catalogue: every fact that consumers can have delivered. Stored events never go out as they are, so they may change without anybody outside
/// noticing. What is not here is not told.
/// </summary>
public static class IntegrationEvents
{
    /// <summary>The type of a test delivery; it is not in the catalogue, as nobody chooses it.</summary>
    public const string Test = "nubabel.consumer.test.v1";

    public static IReadOnlyList<IntegrationEvent> All { get; } =
    [
        Of("organization_renamed", "organization.renamed.v1", "The organization has another name.", (Recorded _, OrganizationRenamed d) => new OrganizationRenamedV1(d.Name.Value)),
        Of("organization_plan_changed", "organization.plan_changed.v1", "The organization has another plan.", (Recorded _, OrganizationPlanChanged d) => new OrganizationPlanChangedV1(d.Plan.Value)),
        Of("organization_closure_scheduled", "organization.closure_scheduled.v1", "The organization will be closed for good.", (Recorded _, OrganizationClosureScheduled d) => new OrganizationClosureScheduledV1(d.ClosesAt)),
        Of("organization_closure_cancelled", "organization.closure_cancelled.v1", "The organization goes on after all.", (Recorded _, OrganizationClosureCancelled _) => new NothingMoreV1()),

        Of("user_registered", "member.joined.v1", "Somebody has an account in the organization.", (Recorded e, UserRegistered d) => new MemberJoinedV1(e.StreamGuid, Permissions.Name(d.Role), d.Email, d.Name)),
        Of("user_renamed", "member.renamed.v1", "A member has another name.", (Recorded e, UserRenamed d) => new MemberRenamedV1(e.StreamGuid, d.Name)),
        Of("user_role_changed", "member.role_changed.v1", "A member has another role.", (Recorded e, UserRoleChanged d) => new MemberRoleChangedV1(e.StreamGuid, Permissions.Name(d.Role))),
        Of("user_suspended", "member.suspended.v1", "A member's account was taken out of use for a while.", (Recorded e, UserSuspended d) => new MemberReasonV1(e.StreamGuid, d.Reason)),
        Of("user_reinstated", "member.reinstated.v1", "A suspended account is in use again.", (Recorded e, UserReinstated _) => new MemberV1(e.StreamGuid)),
        Of("user_left", "member.left.v1", "A member has left the organization.", (Recorded e, UserLeft _) => new MemberV1(e.StreamGuid)),
        Of("user_removed", "member.removed.v1", "Somebody has ended a membership.", (Recorded e, UserRemoved d) => new MemberReasonV1(e.StreamGuid, d.Reason)),

        Of("invitation_issued", "invitation.issued.v1", "Somebody was invited.", (Recorded e, InvitationIssued d) => new InvitationIssuedV1(e.StreamGuid, Permissions.Name(d.Role), d.Email, d.ExpiresAt)),
        Of("invitation_withdrawn", "invitation.withdrawn.v1", "An invitation was withdrawn.", (Recorded e, InvitationWithdrawn _) => new InvitationV1(e.StreamGuid)),
        Of("invitation_accepted", "invitation.accepted.v1", "An invitation led to an account.", (Recorded e, InvitationAccepted d) => new InvitationAcceptedV1(e.StreamGuid, d.User.Value)),

        Of("session_opened", "session.opened.v1", "Somebody signed in.", (Recorded e, SessionOpened d) => new SessionOpenedV1(e.StreamGuid, d.Holder, d.EndsAt)),
        Of("session_revoked", "session.revoked.v1", "A session was ended.", (Recorded e, SessionRevoked d) => new SessionRevokedV1(e.StreamGuid, Word(d.Reason))),

        Of("device_registered", "device.registered.v1", "A member has registered a device.", (Recorded e, DeviceRegistered d) => new DeviceRegisteredV1(e.StreamGuid, d.Owner.Value, d.Name, Word(d.Type))),
        Of("device_renamed", "device.renamed.v1", "A device has another name.", (Recorded e, DeviceRenamed d) => new DeviceRenamedV1(e.StreamGuid, d.Name)),
        Of("device_key_changed", "device.key_changed.v1", "A device has another public key.", (Recorded e, DeviceKeyChanged d) => new DeviceKeyChangedV1(e.StreamGuid, d.PublicKey.Value)),
        Of("device_revoked", "device.revoked.v1", "A device may do nothing any more.", (Recorded e, DeviceRevoked d) => new DeviceRevokedV1(e.StreamGuid, d.Reason)),
        Of("device_deleted", "device.deleted.v1", "A device is gone.", (Recorded e, DeviceDeleted _) => new DeviceV1(e.StreamGuid)),

        Of("api_key_made", "api_key.made.v1", "An API key was made.", (Recorded e, ApiKeyMade d) => new ApiKeyMadeV1(e.StreamGuid, d.Name.Value, [.. d.Scopes.Select(s => s.Value)], d.ExpiresAt)),
        Of("api_key_rotated", "api_key.rotated.v1", "An API key has another secret.", (Recorded e, ApiKeyRotated d) => new ApiKeyRotatedV1(e.StreamGuid, d.OldValidUntil)),
        Of("api_key_revoked", "api_key.revoked.v1", "An API key works no more.", (Recorded e, ApiKeyRevoked _) => new ApiKeyV1(e.StreamGuid)),

        Of("purpose_rewritten", "consent_purpose.rewritten.v1", "A purpose has another text: everybody is asked again.",
            (Recorded e, PurposeRewritten d) => new ConsentPurposeRewrittenV1(e.Stream[(Purpose.Kind.Length + 1)..], d.TextVersion)),
        Of("purpose_retired", "consent_purpose.retired.v1", "Nobody is dealt with for a purpose any more.", (Recorded e, PurposeRetired _) => new ConsentPurposeV1(e.Stream[(Purpose.Kind.Length + 1)..])),
        Of("consent_given", "consent.given.v1", "A member has agreed to a purpose.", (Recorded e, ConsentGiven d) => new ConsentGivenV1(e.StreamGuid, d.Purpose.Value, d.TextVersion, d.TextHash)),
        Of("consent_withdrawn", "consent.withdrawn.v1", "A member agrees no more to a purpose, or objects.", (Recorded e, ConsentWithdrawn d) => new ConsentWithdrawnV1(e.StreamGuid, d.Purpose.Value)),

        Of("breach_notice_given", "breach.notified.v1", "The platform tells the organization of a breach of personal data that affects it.",
            (Recorded e, BreachNoticeGiven d) => new BreachNotifiedV1(
                e.StreamGuid, d.Number, d.Content.Text.Subject.Value, d.Content.Text.WhatHappened.Value, d.Content.Text.Consequences.Value, d.Content.Text.Measures.Value, d.Content.Text.Advice?.Value,
                d.Content.Text.Contact.Value, d.Content.AwareAt, [.. d.Content.Kinds.Select(Word)], d.Content.Risk is { } risk ? Word(risk) : null, d.Content.AffectedUsers)),

        Of("job_completed", "job.completed.v1", "A job has ended well.", (Recorded e, JobCompleted _) => new JobV1(e.StreamGuid)),
        Of("job_failed", "job.failed.v1", "A job has failed.", (Recorded e, JobFailed d) => new JobFailedV1(e.StreamGuid, d.Error.Code, d.Error.Detail)),
        Of("job_cancelled", "job.cancelled.v1", "A job was cancelled.", (Recorded e, JobCancelled _) => new JobV1(e.StreamGuid)),

        Of("webhook_received", "webhook.received.v1", "A provider has sent a webhook, and its signature was right.",
            (Recorded e, WebhookReceived d) => new WebhookReceivedV1(
                e.StreamGuid, d.Provider.Value, d.Source?.Value, d.EventId, d.EventType, d.ContentType, d.Bytes, d.IsBase64 ?? false, d.SignedAt, d.Payload)),

        Of("consumer_disabled", "consumer.disabled.v1", "Nothing is delivered to a consumer any more.", (Recorded e, ConsumerDisabled d) => new ConsumerDisabledV1(e.StreamGuid, Word(d.Because), d.FailingSince)),
    ];

    private static readonly Dictionary<string, IntegrationEvent> ByAlias = All.ToDictionary(e => e.Alias);
    private static readonly HashSet<string> Types = [.. All.Select(e => e.Type)];

    public static IReadOnlyList<string> Aliases { get; } = [.. All.Select(e => e.Alias)];

    public static IntegrationEvent? Find(string alias) => ByAlias.GetValueOrDefault(alias);

    /// <summary>Whether a consumer can ask for it.</summary>
    public static bool Knows(PublicType type) => type == PublicType.All || Types.Contains(type.Value);

    /// <summary>The JSON schema (2020-12) of a type's <c>data</c>. Members may be added to it at any time.</summary>
    public static JsonNode SchemaOf(IntegrationEvent type) =>
        StoredJson.Options.GetJsonSchemaAsNode(type.Shape, new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true, TransformSchemaNode = Describe });

    // What has a converter of its own is opaque to the exporter.
    private static JsonNode Describe(JsonSchemaExporterContext context, JsonNode schema)
    {
        var type = Nullable.GetUnderlyingType(context.TypeInfo.Type) ?? context.TypeInfo.Type;
        var nullable = context.PropertyInfo?.IsGetNullable ?? type != context.TypeInfo.Type;
        JsonNode text = nullable ? new JsonArray("string", "null") : "string";
        if (type == typeof(DateTimeOffset)) return new JsonObject { ["type"] = text, ["format"] = "date-time" };
        if (type == typeof(Personal)) return new JsonObject { ["type"] = new JsonArray("string", "null"), ["description"] = "Personal; null once the person is erased." };
        return schema;
    }

    private static IntegrationEvent Of<TEvent, TShape>(string alias, string type, string description, Func<Recorded, TEvent, TShape> map) where TEvent : class where TShape : class =>
        new(alias, "nubabel." + type, description, typeof(TShape), e => map(e, e.Data as TEvent ?? throw new JsonException($"{alias} has no data.")));

    private static string Word<T>(T value) where T : struct, Enum => JsonNamingPolicy.CamelCase.ConvertName(value.ToString());
}
