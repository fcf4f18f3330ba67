using System.Globalization;
using Nubabel.Domain;
using Nubabel.Domain.ApiKeys;
using Nubabel.Domain.Attempts;
using Nubabel.Domain.Consumers;
using Nubabel.Domain.DataExports;
using Nubabel.Domain.Erasures;
using Nubabel.Domain.Devices;
using Nubabel.Domain.Flags;
using Nubabel.Domain.Invitations;
using Nubabel.Domain.Jobs;
using Nubabel.Domain.Messages;
using Nubabel.Domain.Operators;
using Nubabel.Domain.Organizations;
using Nubabel.Domain.Projections;
using Nubabel.Domain.Reads;
using Nubabel.Domain.Sessions;
using Nubabel.Domain.SignIns;
using Nubabel.Domain.Users;
using Nubabel.Domain.Webhooks;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Projections.Tests;

/// <summary>Law 1: a read model is what the log says. What grew event by event and what is folded anew from the whole log are the same rows.</summary>
public sealed partial class RebuildEqualsLiveTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Every_read_model_is_the_same_live_and_rebuilt()
    {
        await using var database = await TestDatabase.New();
        var signal = new Signal();
        var positions = new Store.Positions(database.Database.Daemon, ReadModels.All);
        var live = new Dictionary<string, string>();
        await using (var daemon = new ProjectionDaemon(database.Database.Daemon, database.DaemonString, ReadModels.All, signal, positions))
        {
            daemon.Start();
            // Live is more than one batch: what came before is there when the rest comes.
            for (var part = 0; part < 4; part++)
            {
                var last = await new History(database, signal, seed: part).Append();
                foreach (var model in ReadModels.All.All)
                {
                    var (reached, have) = await positions.Reached(model.Name, last, Bound, CancellationToken.None);
                    Assert.True(reached, $"{model.Name} stands at {have} and not at {last}.");
                }
            }
            foreach (var model in ReadModels.All.All) live[model.Name] = await Rows(database, model);
        }
        foreach (var model in ReadModels.All.All)
        {
            Assert.True(live[model.Name].Length > 0, $"{model.Name} is empty: the history shows nothing in it.");
            var result = await Rebuild.Run(database.Database.Daemon, database.DaemonString, ReadModels.All, model.Name, _ => { }, CancellationToken.None);
            Assert.Equal((RebuildState.Published, 0L, null), (result.State, result.ParkedKeys, result.Error));
            Assert.Equal(live[model.Name], await Rows(database, model));
        }
        Assert.Equal(0L, await database.Scalar<long>("select count(*) from nubabel.parked"));
    }

    private static Task<string> Rows(TestDatabase database, Projection model) =>
        database.Scalar<string>(string.Create(CultureInfo.InvariantCulture, $"select coalesce(string_agg(t::text, E'\\n' order by t::text), '') from read.{model.Name}_v{model.Version} t"));

    /// <summary>What two organizations do, with every event type of the catalogue in it, several commands by chance and several streams at a time.</summary>
    internal sealed partial class History(TestDatabase database, Signal signal, int seed)
    {
        private readonly Random random = new(seed);
        private readonly SubjectKeys keys = new(database.Database, TestDatabase.Master);

        public async Task<long> Append()
        {
            await Task.WhenAll(Organization(), Organization());
            await Operator();
            await Flags();
            await Control();
            await Breaches();
            await ApiKeys(JournalOf(Projection.PlatformTenant, new Origin($"operator:{Guid.Empty}")), seed * 10);
            await MartenWriter.Append(database.Database.Daemon, Guid.NewGuid().ToString(), $"invoice-{seed}", new MartenEvent("invoice_sent", "[1]", "7"), new MartenEvent($"invoice_{seed}"));
            // A new event type is added to what happens here.
            Assert.Equal([], EventCatalog.All.Select(e => e.Alias).Except(await database.Scalar<string[]>("select array_agg(distinct type::text) from events.mt_events")));
            return await database.Scalar<long>("select max(seq_id) from events.mt_events");
        }

        private async Task Organization()
        {
            var ct = CancellationToken.None;
            var (organization, user) = (New<Organization>(), New<User>());
            var subject = Streams.Of(user);
            var tenant = organization.ToString();
            var journal = JournalOf(tenant, new Origin($"user:{user}", subject, "request", null, null, "192.0.2.7", "agent", "why"));
            var founded = new Step<Organization>(organization, new FoundOrganization(OrganizationName.Parse("Acme"), Slug.Parse($"s{Guid.NewGuid():N}"[..20]), user), fresh: true);
            var registered = new Step<User>(user, new RegisterUser(await Seal("ada@example.org"), $"key-{user}", await Seal("Ada"), "hash", Role.Owner), fresh: true);
            await journal.Commit([founded, registered], ct);
            await journal.Handle(organization, new RenameOrganization(OrganizationName.Parse("Acme Ltd")), ct);
            await journal.Handle(user, new RenameUser(await Seal("Grace")), ct);
            Command<Organization>[] operators =
            [
                new SuspendOrganization(Reason.Parse("unpaid")), new ReactivateOrganization(), new ChangeTerms(Plan.Parse("team"), new OrganizationLimits(Members: random.Next(1, 500))),
                new ScheduleClosure(journal.Now().AddDays(1)), new CancelClosure(), new AddOwner(New<User>()), new RemoveOwner(user),
            ];
            foreach (var command in operators) await journal.Handle(organization, command, ct);
            await Sessions(journal, await Seal("192.0.2.7"));
            await Passwords(journal, user);
            for (var i = 0; i < 8; i++) await Member(journal, i);
            await ApiKeys(journal, 0);
            await Jobs(journal);
            await DataExports(journal, user);
            await Erasures(journal);
            await LegalHolds(journal, user, subject);
            await Retention(journal);
            await Webhooks(journal, await Seal("{}"));
            await Consumers(journal);
            await Consents(journal, user);
            await Processing(journal);
            var devices = Enumerable.Range(0, 12).Select(_ => New<Device>()).ToArray();
            foreach (var device in devices) await journal.Create(device, Named.Device($"d-{device}", DeviceType.Web), ct);
            await journal.Record(Streams.Named<Attempt>(subject),
                [new RecordDenied("POST /api/devices", "devices:write", 1), new RecordRefused("PUT /api/devices/{id}/name", "device.revoked", 7), new RecordOverflow(2)], ct);
            await journal.Record(Streams.Named<PersonalData>(subject), [new RecordRead("GET /api/members", [subject], 1), new RecordExport("GET /api/audit-logs.csv", 7, [])], ct);
            await Task.WhenAll(devices.Select((device, i) => Lives(device, i, user, tenant)));
            await journal.Handle(organization, new ScheduleClosure(journal.Now().AddSeconds(1), Reason.Parse("over"), ByOperator: true), ct);
            await JournalOf(tenant, new Origin("system:closures"), new MinutesLater()).Handle(organization, new CloseOrganization(), ct);

            async Task<Personal> Seal(string plain) => new(subject, await keys.Seal(tenant, subject, plain, ct));
        }

        private async Task Lives(Id<Device> device, int number, Id<User> owner, string tenant)
        {
            // One journal is not for concurrent use.
            var journal = JournalOf(tenant, new Origin($"user:{owner}"));
            var ct = CancellationToken.None;
            await journal.Handle(device, Named.Renamed($"n-{device}"), ct);
            await journal.Handle(device, new ChangeDeviceKey(PublicKey.Parse("AAAA")), ct);
            if (number % 2 == 0) await journal.Handle(device, new RevokeDevice(Named.Text("lost")), ct);
            if (number % 3 == 0) await journal.Handle(device, new DeleteDevice(), ct);
        }

        /// <summary>Somebody is invited, comes, and goes or stays.</summary>
        private async Task Member(Journal journal, int number)
        {
            var (ct, now) = (CancellationToken.None, journal.Now());
            var (invitation, user) = (New<Invitation>(), New<User>());
            var email = new Personal(Streams.Of(invitation), await keys.Seal(journal.Tenant, Streams.Of(invitation), "bob@example.org", ct));
            await journal.Create(invitation, new IssueInvitation(email, $"key-{user}", Role.Member, "h", now.AddMinutes(5)), ct);
            if (number == 0) await journal.Handle(invitation, new WithdrawInvitation(), ct);
            if (number == 1) await JournalOf(journal.Tenant, journal.Origin, new MinutesLater()).Handle(invitation, new ExpireInvitation(), ct);
            if (number < 3) return;
            var name = new Personal(Streams.Of(user), await keys.Seal(journal.Tenant, Streams.Of(user), "Bob", ct));
            await journal.Commit([new Step<Invitation>(invitation, new AcceptInvitation("h", user)), new Step<User>(user, new RegisterUser(name, $"key-{user}", name, "p0", Role.Member), fresh: true)], ct);
            Command<User>[] commands =
            [
                new ChangeRole(Role.Admin), new SuspendUser(Named.Text("on leave")), new ReinstateUser(), new SuspendUser(), number % 2 == 0 ? new LeaveOrganization() : new RemoveUser(),
            ];
            foreach (var command in commands.Take(number == 3 ? commands.Length : random.Next(commands.Length + 1))) await journal.Handle(user, command, ct);
            if (number == 4) await journal.Handle(user, new LeaveOrganization(), ct);
        }

        private async Task Sessions(Journal journal, Personal ip)
        {
            var (ct, now) = (CancellationToken.None, journal.Now());
            foreach (var chance in Enumerable.Range(0, 6).Select(i => i < 3 ? i : random.Next(3)))
            {
                var session = New<Session>();
                await journal.Create(session, new OpenSession("h0", now.AddDays(14), now.AddDays(90), ip), ct);
                for (var generation = 0; generation < 2 + chance; generation++)
                    await journal.Handle(session, new RefreshSession(generation, $"h{generation}", $"h{generation + 1}", now.AddDays(15)), ct);
                if (chance == 1) await journal.Handle(session, new RevokeSession(SessionEnd.SignedOut), ct);
                // The first token again, long after it had its successor: theft.
                if (chance == 2) await JournalOf(journal.Tenant, journal.Origin, new MinutesLater()).Handle(session, new RefreshSession(0, "h0", "h1", now.AddDays(15)), ct);
            }
        }

        private static async Task Passwords(Journal journal, Id<User> user)
        {
            var ct = CancellationToken.None;
            Command<User>[] commands =
            [
                new ChangePassword("hash", "h1", New<Session>()), new RehashPassword("h1", "h2"), new RequestPasswordReset("token", journal.Now().AddMinutes(30)), new ResetPassword("token", "h3"),
            ];
            foreach (var command in commands) await journal.Handle(user, command, ct);
            var guard = New<SignInGuard>();
            Command<SignInGuard>[] attempts = [new FailSignIn(2, 900), new FailSignIn(2, 900, 0, Streams.Of(user)), new ClearSignIns()];
            foreach (var attempt in attempts) await journal.Handle(guard, attempt, ct);
        }

        private static async Task Webhooks(Journal journal, Personal payload)
        {
            var ct = CancellationToken.None;
            for (var i = 0; i < 3; i++)
            {
                var source = New<WebhookSource>();
                await journal.Create(source, new AddWebhookSource(ProviderName.Parse("github"), WebhookPreset.Github, "s0", "p0", i == 0 ? null : SourceName.Parse("shop")), ct);
                if (i > 0) await journal.Handle(source, new RotateWebhookSource(0, "s1", "p1", 60), ct);
                if (i > 1) await journal.Handle(source, new RemoveWebhookSource(), ct);
                var webhook = New<Webhook>();
                Assert.Equal(Streams.Of(webhook), await journal.WriteDown<Webhook>(webhook, new ReceiveWebhook(ProviderName.Parse("github"), payload, 2, source), ct));
            }
        }

        private static async Task ApiKeys(Journal journal, int slot)
        {
            var ct = CancellationToken.None;
            for (var i = 0; i < 3; i++)
            {
                var key = New<ApiKey>();
                await journal.Create(key, new MakeApiKey(ApiKeyName.Parse($"k-{key}"), [Scope.Parse("members:read"), Scope.Parse("audit:read")], "h0", slot + i, i == 1 ? journal.Now().AddDays(1) : null), ct);
                if (i > 0) await journal.Handle(key, new RotateApiKey(0, "h1", 60), ct);
                if (i > 1) await journal.Handle(key, new RevokeApiKey(), ct);
            }
        }

        private static async Task Jobs(Journal journal)
        {
            var error = JobError.GaveUp;
            Command<Job>?[] ends = [null, new CompleteJob(new JobResult("/api/things", journal.Now().AddDays(1))), new FailJob(error), new CancelJob()];
            foreach (var end in ends)
            {
                var job = New<Job>();
                await journal.Create(job, new StartJob(JobKind.Parse("work")), CancellationToken.None);
                Command<Job>[] commands = end is null ? [new FailJob(error), new RequeueJob()] : [end];
                foreach (var command in commands) await journal.Handle(job, command, CancellationToken.None);
            }
        }

        private static async Task Consumers(Journal journal)
        {
            var (ct, url) = (CancellationToken.None, EndpointUrl.Parse("https://hooks.example.com/"));
            for (var i = 0; i < 3; i++)
            {
                var consumer = New<Consumer>();
                await journal.Create(consumer, new CreateConsumer(ConsumerName.Parse($"c-{consumer}"), url, [PublicType.All], i == 1, "s0", i, i == 1 ? ConsumerDescription.Parse("second") : null), ct);
                Command<Consumer>[] commands =
                [
                    new PauseConsumer(), new ActivateConsumer(), new RotateConsumerSecret(0, "s1", 60), new ResendDelivery(Guid.Empty, 1), new NoteReplay(Guid.Empty, 1, 9, 3), new DisableConsumer(DisabledBecause.Failing, journal.Now()),
                    new ChangeConsumer(ConsumerName.Parse($"n-{consumer}"), EndpointUrl.Parse("https://hooks.example.com/v2"), [PublicType.Parse("nubabel.device.deleted.v1")], i == 0,
                        ConsumerDescription.Parse("changed")),
                ];
                foreach (var command in i == 2 ? [.. commands, new EndConsumerOverlap(), new RemoveConsumer()] : commands) await journal.Handle(consumer, command, ct);
            }
        }

        private static async Task Erasures(Journal journal)
        {
            foreach (var completed in new[] { true, false })
            {
                var (erasure, user) = (New<Erasure>(), New<User>());
                await journal.Handle(erasure, new RequestErasure(user, ErasureWish.Person, "hash"), CancellationToken.None);
                if (completed) await journal.Handle(erasure, new CompleteErasure(new Erased(1, 2, 3, 4, 5, 6, 7), "jws"), CancellationToken.None);
            }
        }

        private static async Task DataExports(Journal journal, Id<User> owner)
        {
            await journal.Handle(New<DataExport>(), new ReadDataExport(ExportScope.User, 7), CancellationToken.None);
            foreach (var deleted in new[] { false, true })
            {
                var export = New<DataExport>();
                await journal.Handle(export, new MakeDataExport(ExportScope.Organization, owner, Guid.CreateVersion7(), 7, "ab", 7, journal.Now().AddDays(7)), CancellationToken.None);
                await journal.Handle(export, new DownloadDataExport(), CancellationToken.None);
                if (deleted) await journal.Handle(export, new DeleteDataExport(), CancellationToken.None);
            }
        }

        private Journal JournalOf(string tenant, Origin origin, TimeProvider? time = null) =>
            new(database.Database, Events.Types, keys, tenant, origin, signal.Set, time ?? TimeProvider.System);

        private static Id<T> New<T>() => new(Guid.CreateVersion7());
    }

    private sealed class MinutesLater : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => base.GetUtcNow().AddMinutes(10);
    }
}
