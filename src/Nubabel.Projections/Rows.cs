using System.Collections.Frozen;
using Nubabel.Domain.ApiKeys;
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
using Nubabel.Domain.Organizations;
using Nubabel.Domain.ProcessingRecords;
using Nubabel.Domain.Retention;
using Nubabel.Domain.Sessions;
using Nubabel.Domain.Users;
using Nubabel.Domain.Webhooks;
using Nubabel.Projections.ApiKeys;
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

/// <summary>
/// The rows that are shown of a stream itself: a command is answered with one, and so is a read of a single resource. They are folded and remembered beside the state, so an answer
/// needs no event.
/// </summary>
internal static class Rows
{
    private static readonly FrozenDictionary<Type, StreamFold[]> all = new Dictionary<Type, StreamFold[]>
    {
        [typeof(ApiKey)] = [Of<ApiKeyRow>(ApiKeyList.Evolve)],
        [typeof(Breach)] = [Of<BreachRow>(BreachList.Evolve)],
        [typeof(BreachNotice)] = [Of<BreachNoticeRow>(BreachNoticeList.Evolve)],
        [typeof(Consent)] = [Of<ConsentRows>(ConsentRows.Evolve)],
        [typeof(Consumer)] = [Of<ConsumerRow>(ConsumerList.Evolve)],
        [typeof(DataExport)] = [Of<DataExportRow>(DataExportList.Evolve)],
        [typeof(Device)] = [Of<DeviceRow>(DeviceList.Evolve)],
        [typeof(Erasure)] = [Of<ErasureRow>(ErasureList.Evolve)],
        [typeof(Flag)] = [Of<FlagRow>(FlagList.Evolve)],
        [typeof(Invitation)] = [Of<InvitationRow>(InvitationList.Evolve)],
        [typeof(Job)] = [Of<JobRow>(JobList.Evolve)],
        [typeof(LegalHold)] = [Of<LegalHoldRow>(LegalHoldList.Evolve)],
        [typeof(Organization)] = [Of<OrganizationProfile>(OrganizationProfile.Evolve), Of<OrganizationRow>(OrganizationList.Evolve)],
        [typeof(ProcessingRecord)] = [Of<ProcessingRecordRow>(ProcessingRecordList.Evolve)],
        [typeof(Purpose)] = [Of<PurposeRow>(PurposeList.Evolve)],
        [typeof(RetentionRun)] = [Of<RetentionRunRow>(RetentionRunList.Evolve)],
        [typeof(Session)] = [Of<SessionRow>(SessionList.Evolve)],
        [typeof(User)] = [Of<UserProfile>(UserProfile.Evolve), Of<MemberRow>(MemberList.Evolve)],
        [typeof(WebhookSource)] = [Of<WebhookSourceRow>(WebhookSourceList.Evolve)],
    }.ToFrozenDictionary();

    /// <summary>The rows of streams of an aggregate.</summary>
    public static IReadOnlyList<StreamFold> Of(Type aggregate) => all.GetValueOrDefault(aggregate) ?? [];

    private static StreamFold<TRow?> Of<TRow>(Func<TRow?, Recorded, TRow?> evolve) where TRow : class => new(null, evolve);
}
