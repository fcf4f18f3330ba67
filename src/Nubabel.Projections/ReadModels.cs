using Nubabel.Projections.ApiKeys;
using Nubabel.Projections.Audit;
using Nubabel.Projections.Breaches;
using Nubabel.Projections.Consents;
using Nubabel.Projections.Consumers;
using Nubabel.Projections.DataExports;
using Nubabel.Projections.Devices;
using Nubabel.Projections.Erasures;
using Nubabel.Projections.Flags;
using Nubabel.Projections.Invitations;
using Nubabel.Projections.Jobs;
using Nubabel.Projections.LegalHolds;
using Nubabel.Projections.Members;
using Nubabel.Projections.Organizations;
using Nubabel.Projections.ProcessingRecords;
using Nubabel.Projections.Retention;
using Nubabel.Projections.Sessions;
using Nubabel.Projections.Users;
using Nubabel.Projections.Webhooks;
using Nubabel.Store;

namespace Nubabel.Projections;

/// <summary>Every read model with a table. What is not here is not built.</summary>
public static class ReadModels
{
    public static ProjectionSet All { get; } = new ProjectionSet(Events.Types)
        .Rows<AuditTrail, AuditRow>()
        .Documents<ApiKeyList, ApiKeyRow>()
        .Documents<BreachList, BreachRow>()
        .Documents<BreachLetterList, BreachLetterRow>(platform: true)
        .Documents<BreachNoticeList, BreachNoticeRow>()
        .Documents<ConsentList, ConsentRow>()
        .Documents<ConsumerList, ConsumerRow>()
        .Documents<DataExportList, DataExportRow>()
        .Documents<DeviceList, DeviceRow>()
        .Documents<ErasureList, ErasureRow>(platform: true)
        .Documents<FlagList, FlagRow>()
        .Documents<InvitationList, InvitationRow>()
        .Documents<JobBoard, JobBoardRow>(platform: true)
        .Documents<JobList, JobRow>()
        .Documents<LegalHoldList, LegalHoldRow>()
        .Documents<MemberList, MemberRow>()
        .Documents<OrganizationList, OrganizationRow>(platform: true)
        .Documents<RemovedAccountList, RemovedAccountRow>()
        .Documents<RetentionPolicyList, RetentionPolicyRow>()
        .Documents<RetentionRunList, RetentionRunRow>()
        .Documents<ProcessingRecordList, ProcessingRecordRow>()
        .Documents<PurposeList, PurposeRow>()
        .Documents<SessionList, SessionRow>()
        .Documents<WebhookSourceList, WebhookSourceRow>()
        .Documents<UnknownAliases, UnknownAlias>(platform: true);
}
