using Nubabel.Domain;

namespace Nubabel.Api.Consumers;

// The data of the integration events. These shapes are promises to receivers: nothing of them is taken away or changed; what needs that becomes a new version.

internal sealed record NothingMoreV1;
internal sealed record OrganizationRenamedV1(string Name);
internal sealed record OrganizationPlanChangedV1(string Plan);
internal sealed record OrganizationClosureScheduledV1(DateTimeOffset ClosesAt);

internal sealed record MemberV1(Guid UserId);
internal sealed record MemberReasonV1(Guid UserId, Personal? Reason);
internal sealed record MemberJoinedV1(Guid UserId, string Role, Personal? Email, Personal? Name);
internal sealed record MemberRenamedV1(Guid UserId, Personal? Name);
internal sealed record MemberRoleChangedV1(Guid UserId, string Role);

internal sealed record InvitationV1(Guid InvitationId);
internal sealed record InvitationIssuedV1(Guid InvitationId, string Role, Personal? Email, DateTimeOffset ExpiresAt);
internal sealed record InvitationAcceptedV1(Guid InvitationId, Guid UserId);

internal sealed record SessionOpenedV1(Guid SessionId, string Holder, DateTimeOffset EndsAt);
internal sealed record SessionRevokedV1(Guid SessionId, string Reason);

internal sealed record DeviceV1(Guid DeviceId);
internal sealed record DeviceRegisteredV1(Guid DeviceId, Guid OwnerId, Personal? Name, string Type);
internal sealed record DeviceRenamedV1(Guid DeviceId, Personal? Name);
internal sealed record DeviceKeyChangedV1(Guid DeviceId, string PublicKey);
internal sealed record DeviceRevokedV1(Guid DeviceId, Personal? Reason);

internal sealed record ApiKeyV1(Guid KeyId);
internal sealed record ApiKeyMadeV1(Guid KeyId, string Name, IReadOnlyList<string> Scopes, DateTimeOffset? ExpiresAt);
internal sealed record ApiKeyRotatedV1(Guid KeyId, DateTimeOffset PreviousValidUntil);

internal sealed record ConsentPurposeV1(string Purpose);
internal sealed record ConsentPurposeRewrittenV1(string Purpose, int TextVersion);
internal sealed record ConsentGivenV1(Guid UserId, string Purpose, int TextVersion, string TextSha256);
internal sealed record ConsentWithdrawnV1(Guid UserId, string Purpose);

internal sealed record BreachNotifiedV1(
    Guid BreachId, int Number, string Subject, string WhatHappened, string Consequences, string Measures, string? Advice, string Contact, DateTimeOffset AwareAt, IReadOnlyList<string> Kinds, string? Risk, long AffectedUsers);

internal sealed record JobV1(Guid JobId);
internal sealed record JobFailedV1(Guid JobId, string Code, string Detail);

internal sealed record WebhookReceivedV1(
    Guid WebhookId, string Provider, Guid? SourceId, string? ProviderEventId, string? ProviderEventType, string? ContentType, int Bytes, bool IsBase64, DateTimeOffset? SignedAt, Personal? Payload);

internal sealed record ConsumerDisabledV1(Guid ConsumerId, string Because, DateTimeOffset? FailingSince);

/// <summary>The data of a test delivery.</summary>
internal sealed record TestV1(Guid ConsumerId, string Message);
