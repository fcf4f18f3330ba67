using Nubabel.Api.DataExports;
using Nubabel.Api.Host;
using Nubabel.Projections.ApiKeys;
using Nubabel.Projections.Breaches;
using Nubabel.Projections.Flags;
using Nubabel.Projections.LegalHolds;
using Nubabel.Projections.Organizations;
using Nubabel.Projections.ProcessingRecords;
using Nubabel.Projections.Users;
using Nubabel.Store;

namespace Nubabel.Api.Retention;

/// <summary>Every category of the product, in one table. <c>docs/retention.md</c> shows it, and a test compares.</summary>
public static class RetentionCatalog
{
    /// <summary>For how long bundles can be downloaded: who makes one asks for it.</summary>
    public const string DataExports = "data-exports";

    private const int Century = 36_500;

    public static RetentionCategories All(IServiceProvider services)
    {
        var settings = services.GetRequiredService<Settings>();
        var letters = (int)settings.DeadLetterLife.TotalDays;
        return new RetentionCategories(
        [
            new("accounts", "Accounts that have left or were removed: name, address, devices, sign-ins", "the removal", 365, 1, Century, PeriodSetter.Organization,
                new EachByItself("erases", services.GetRequiredService<AgedAccounts>().Erase)) { Due = RemovedAccountList.Users, Part = 20 },
            new("operators", "Accounts of operators who were removed", "the removal", 365, 1, Century, PeriodSetter.Platform, new DestroyKeys()) { Due = RemovedAccountList.Operators },
            new("invitations", "Addresses of those who were invited", "7 days after the invitation, when it is over in any case", 30, 1, Century, PeriodSetter.Organization, new DestroyKeys())
            {
                Due = Invitations,
            },
            new("sign-in-failures", "Addresses and agents of failed sign-ins to accounts that there are not", "the first failure", 90, 7, 730, PeriodSetter.Organization, new DestroyKeys())
            {
                Due = due => KeysOf("sign-in", due),
            },
            new("webhooks", "What providers have sent", "the receipt", 90, 1, Century, PeriodSetter.Organization, new DestroyKeys()) { Due = due => KeysOf("webhook", due) },
            new("deliveries", "The log of deliveries to consumers, tests included, with what was answered", "the event", 30, 1, 730, PeriodSetter.Organization, new DeleteRows((tenant, ids) => Sql.Of($"""
                delete from nubabel.deliveries where tenant_id = {tenant} and id = any({ids}::uuid[]) returning id::text
                """))) { Due = Deliveries, Part = 2_000 },
            new("dead-letters", "Messages that were given up, with every attempt", "the last attempt", letters, letters, letters, PeriodSetter.Nobody, new DeleteRows((tenant, ids) => Sql.Of($"""
                select r::text from nubabel.letters_remove({tenant}, {ids}::uuid[]) r
                """))) { Due = DeadLetters },
            new("api-key-uses", "When API keys were last used that are revoked or expired", "the last use", 365, 30, Century, PeriodSetter.Organization, new DeleteRows((tenant, ids) => Sql.Of($"""
                delete from nubabel.key_uses where tenant_id = {tenant} and key_id = any({ids}::uuid[]) returning key_id::text
                """))) { Due = ApiKeyList.UsesOfEnded },
            new("api-keys", "Addresses and agents of what was done with API keys that are revoked or expired", "the revocation, or the expiry", 365, 30, Century, PeriodSetter.Organization, new DestroyKeys())
            {
                Due = ApiKeyList.Ended,
            },
            new("processing-records", "Contacts in processing records that are archived", "the archiving", 1_095, 30, Century, PeriodSetter.Organization, new DestroyKeys()) { Due = ProcessingRecordList.Archived },
            new("breaches", "Descriptions of breaches that are closed", "the closure", 1_825, 365, Century, PeriodSetter.Platform, new DestroyKeys()) { Due = BreachList.Closed },
            new("legal-holds", "The reasons of legal holds that were released", "the release", 1_095, 30, Century, PeriodSetter.Organization, new DestroyKeys()) { Due = LegalHoldList.Released },
            new("closed-organizations", "Everything sealed that is left of organizations that were closed", "the closure", 90, 1, Century, PeriodSetter.Platform, new DestroyKeys())
            {
                Due = OrganizationList.KeysOfClosed,
            },
            new(DataExports, "Bundles of data exports", "the export", ExportBundles.Days, 1, 30, PeriodSetter.Organization, new ByItself("expires")),
            new("idempotency-records", "Idempotency keys with hashes of requests and sealed answers", "the request", Idempotency.Hours / 24, Idempotency.Hours / 24, Idempotency.Hours / 24, PeriodSetter.Nobody,
                new ByItself("expires")),
            new("job-progress", "How far jobs were", "the last attempt's beginning", MessageRuns.Days, MessageRuns.Days, MessageRuns.Days, PeriodSetter.Nobody, new ByItself("expires")),
            new("message-ids", "Ids of messages that must not come twice", "the message", MessageCatalog.Types.OnceDays, MessageCatalog.Types.OnceDays, MessageCatalog.Types.OnceDays, PeriodSetter.Nobody,
                new ByItself("expires")),
            new("flag-counts", "How often flags were evaluated, by day", "the day", FlagCounts.DaysKept, FlagCounts.DaysKept, FlagCounts.DaysKept, PeriodSetter.Nobody, new ByItself("expires")),
        ]);
    }

    /// <summary>The keys of a kind of data subject, by their own age: they were made with the first that was sealed.</summary>
    public static Sql KeysOf(string kind, Due due) => Sql.Of($"""
        select k.tenant_id, k.subject as id, null::text as person, k.created as at from nubabel.subject_keys k
         where left(k.subject, -37) = {kind} and k.wrapped is not null and {due.Is(new Name("k.tenant_id"), new Name("k.created"))} {due.Part(new Name("k.subject"), kind + "-")}
        """);

    // Whose an invitation has become, its own stream says.
    private static Sql Invitations(Due due) => Sql.Of($"""
        select k.tenant_id, k.subject as id,
               (select e.data ->> 'user' from events.mt_events e where e.tenant_id = k.tenant_id and e.stream_id = k.subject and e.type = 'invitation_accepted' limit 1) as person, k.created as at
          from nubabel.subject_keys k
         where left(k.subject, -37) = 'invitation' and k.wrapped is not null
           and {due.Is(new Name("k.tenant_id"), new Name("k.created"), TimeSpan.FromDays(Domain.Invitations.Invitation.Days))} {due.Part(new Name("k.subject"), "invitation-")}
        """);

    private static Sql Deliveries(Due due) => Sql.Of($"""
        select d.tenant_id, d.id::text as id, null::text as person, d.created as at from nubabel.deliveries d
         where {due.Is(new Name("d.tenant_id"), new Name("d.created"))} {due.PartById(new Name("d.id"))}
        """);

    private static Sql DeadLetters(Due due) => Sql.Of($"""
        select d.tenant_id, d.id::text as id, case when starts_with(d.subject, 'user-') then substr(d.subject, 6) when starts_with(d.actor, 'user:') then substr(d.actor, 6) end as person, d.died as at
          from nubabel.dead_letters d where {due.Is(new Name("d.tenant_id"), new Name("d.died"))} {due.PartById(new Name("d.id"))}
        """);
}
