using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.ApiKeys;
using Nubabel.Domain.Devices;
using Nubabel.Domain.Flags;
using Nubabel.Domain.Users;
using Nubabel.Projections;
using Nubabel.Projections.ApiKeys;
using Nubabel.Projections.Audit;
using Nubabel.Projections.Devices;
using Nubabel.Projections.Flags;
using Nubabel.Projections.Organizations;
using Nubabel.Projections.Sessions;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenancy;

/// <summary>
/// Every way that the store reads and writes, tried upon another tenant's data after the tenant predicates were taken out of its statements. By
/// the api login nothing comes through; by a login that bypasses row-level security everything does, so that the attempts are worth something.
/// </summary>
public sealed class WithoutPredicatesTests
{
    private static readonly string[] Ways =
    [
        "a stream", "a claim", "a scope of claims", "API keys", "a key's last use", "devices", "flags", "organizations", "sessions", "the audit trail", "a subject's key", "an idempotency record", "an append",
    ];

    [Fact]
    public async Task Row_level_security_alone_keeps_every_way_shut()
    {
        var predicates = new TenantPredicates();
        await using var proxy = new PostgresProxy((await TestDatabase.Shared).ApiString, predicates.Remove);
        Assert.Equal([], await Reached(proxy.ConnectionString));
        string[] parts =
        [
            "from events.mt_events", "update events.mt_streams", "nubabel.claims", "nubabel.idempotency", "nubabel.subject_keys", "read.api_keys_v1", "nubabel.key_uses", "read.audit_v1",
            "read.devices_v2", "read.flags_v1", "read.organizations_v1", "read.sessions_v1",
        ];
        foreach (var part in parts)
            Assert.Contains(predicates.Removed, sql => sql.Contains(part, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Without_row_level_security_every_way_is_open()
    {
        await using var proxy = new PostgresProxy((await TestDatabase.Shared).DaemonString, new TenantPredicates().Remove);
        Assert.Equal(Ways.Order(), (await Reached(proxy.ConnectionString)).Order());
    }

    [Fact]
    public async Task With_the_predicates_a_login_that_bypasses_row_level_security_reaches_nothing_either() =>
        Assert.Equal([], await Reached((await TestDatabase.Shared).DaemonString));

    /// <summary>The ways by which this login, as one tenant, gets at another's data.</summary>
    private static async Task<List<string>> Reached(string login)
    {
        var ct = CancellationToken.None;
        var api = await TestApi.Shared;
        var (victim, thief) = (await api.SignUp(), await api.SignUp());
        var owner = api.Services.GetRequiredService<Node>();
        var device = new Id<Device>(Guid.CreateVersion7());
        var registered = await owner.Journal(victim.Id, new Origin($"user:{victim.User}")).Create(device, Named.Device("phone", DeviceType.Mobile), ct);
        var key = FlagKey.Parse($"f{Guid.NewGuid():N}");
        var flag = await owner.Journal(Node.Platform, new Origin("system:test")).Create(Streams.Named<Flag>(key.Value), new CreateFlag(key, true), ct);
        var claim = new ClaimValue($"device-name:{victim.User}", Named.Key("phone"));
        var record = new IdempotencyRecord(victim.Id, "scope", Guid.NewGuid().ToString(), [1], 201);
        await IdempotencyRecord.Keep(api.Database.Database.Api, record, ct);
        var cipher = await owner.Seal(victim.Id, $"user-{victim.User}", "secret", ct);
        var apiKey = new Id<ApiKey>(Guid.CreateVersion7());
        var made = await owner.Journal(victim.Id, new Origin($"user:{victim.User}")).Create(apiKey, new MakeApiKey(ApiKeyName.Parse("nightly"), [Scope.Parse("members:read")], "h0", 0), ct);
        await KeyUses.Write(api.Database.Database.Daemon, [(victim.Id, apiKey.Value, TimeProvider.System.GetUtcNow())], ct);
        foreach (var name in new[] { ApiKeyList.Name, DeviceList.Name, FlagList.Name, OrganizationList.Name, SessionList.Name, AuditTrail.Name })
            Assert.True((await api.Services.GetRequiredService<Store.Positions>().Reached(name, Math.Max(flag.Position, made.Position), TimeSpan.FromSeconds(20), ct)).Item1);

        await using var database = Database.Open("main", login, api.Database.DaemonString);
        var node = new Node(database, TestDatabase.Master, owner.Root, new Signal(), TimeProvider.System);
        var (journal, reader) = (node.Journal(thief.Id, new Origin($"user:{thief.User}")), node.Reader(thief.Id));
        var stream = Streams.Of(device);
        var reached = new List<string>();
        void Note(string way, bool isReached)
        {
            if (isReached) reached.Add(way);
        }

        Note("a stream", (await journal.Read(stream, Until.End, ct)).Count > 0);
        Note("a claim", await journal.Holder(claim.Scope, claim.Value, ct) is not null);
        Note("a scope of claims", (await journal.Claimed(ApiKey.SlotScope, ct)).Count > 0);
        Note("API keys", (await ApiKeyList.Of(reader, TimeProvider.System.GetUtcNow(), null, 50, ct)).Rows.Count > 0);
        Note("a key's last use", await KeyUses.Last(reader, apiKey.Value, ct) is not null);
        Note("devices", (await DeviceList.OfUser(reader, Id<User>.Parse(victim.User), null, 50, ct)).Rows.Count > 0);
        Note("flags", (await FlagList.Of(reader, archived: false, null, 50, ct)).Rows.Count > 0);
        Note("organizations", (await OrganizationList.Search(reader, new(victim.Slug), null, 50, ct)).Rows.Count > 0);
        Note("sessions", (await SessionList.LiveOf(reader, Actor.User(Guid.Parse(victim.User)), TimeProvider.System.GetUtcNow(), null, 50, ct)).Count > 0);
        Note("the audit trail", (await AuditTrail.Search(reader, new AuditTrail.Filter(Object: stream), null, 50, ct)).Count > 0);
        Note("a subject's key", await HasKey(reader, cipher, ct));
        Note("an idempotency record", await IdempotencyRecord.Find(database.Api, thief.Id, record.Scope, record.Key, 24, ct) is not null);
        Note("an append", await HasAppended(journal, new StreamAppend(stream, "device", 1, [new DeviceDeleted()], [], []), ct));
        return reached;
    }

    /// <summary>A claim is given up through a function, which is told the tenant: told another's, row-level security finds nothing for it.</summary>
    [Fact]
    public async Task The_function_that_gives_up_a_claim_finds_no_other_tenants()
    {
        var api = await TestApi.Shared;
        var (victim, thief) = (await api.SignUp(), await api.SignUp());
        var owner = api.Services.GetRequiredService<Node>();
        var device = new Id<Device>(Guid.CreateVersion7());
        await owner.Journal(victim.Id, new Origin($"user:{victim.User}")).Create(device, Named.Device("phone", DeviceType.Mobile), default);
        var (scope, value) = ($"device-name:{victim.User}", Named.Key("phone"));
        Assert.NotNull(await Holder());
        await Release(thief.Id);
        Assert.NotNull(await Holder());
        await Release(victim.Id);
        Assert.Null(await Holder());

        Task<string?> Holder() => owner.Journal(victim.Id, new Origin("system:test")).Holder(scope, value, default);

        async Task Release(string seen)
        {
            await using var batch = api.Database.Database.Api.CreateBatch();
            batch.BatchCommands.Add(new NpgsqlBatchCommand($"select set_config('app.current_organization_id', '{seen}', true)"));
            batch.BatchCommands.Add(new NpgsqlBatchCommand($"select nubabel.release('{victim.Id}', '{scope}', '{value}', '{Streams.Of(device)}')"));
            await batch.ExecuteNonQueryAsync();
        }
    }

    /// <summary>A key that is found and does not fit is found none the less: the cipher is bound to its tenant as well.</summary>
    private static async Task<bool> HasKey(Reader reader, Personal sealedText, CancellationToken ct)
    {
        var json = $$"""{"$p":1,"s":"{{sealedText.Subject}}","c":"{{sealedText.Cipher}}"}""";
        try
        {
            return Encoding.UTF8.GetString((await reader.Open(Encoding.UTF8.GetBytes(json), ct)).Span) != "null";
        }
        catch (CryptographicException)
        {
            return true;
        }
    }

    /// <summary>The other tenant's stream counts on; that its event then lacks a stream of the thief's own is the last thing in the way.</summary>
    private static async Task<bool> HasAppended(Journal journal, StreamAppend append, CancellationToken ct)
    {
        try
        {
            return await journal.Append(journal.Now(), [append], ct) is not Appended.Conflict;
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.ForeignKeyViolation)
        {
            return true;
        }
    }
}
