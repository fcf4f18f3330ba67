using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Commands;

/// <summary>The master key is exchanged under a serving node, by a process that is killed on its way, and then the old key is thrown away.</summary>
public sealed class MasterKeyTests : IAsyncLifetime
{
    private const int Planted = 30_000;
    private static readonly MasterKey Old = TestDatabase.Master.Configured;
    private static readonly byte[] Secret = RandomNumberGenerator.GetBytes(32);
    private readonly MasterKey next = new(Secret);
    private TestDatabase database = null!;

    public async Task InitializeAsync() => database = await TestDatabase.New();

    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task Nothing_is_lost_and_nobody_notices()
    {
        var old = new Dictionary<string, string> { ["Keys__MasterPrevious"] = Text(1), ["Keys__Master"] = Convert.ToBase64String(Secret) };
        TestTenant acme;
        Held held;
        await using (var first = await TestApi.Start(database))
        {
            acme = await first.SignUp();
            held = await Held.Of(acme);
            var early = await NubabelCommand.Run(database, old, "master-key", "rotate");
            Assert.Equal(1, early.Code);
            Assert.Contains("These nodes do not have the new key yet", early.Errors, StringComparison.Ordinal);
        }
        await Plant();
        await using (var node = await TestApi.Start(database, Both))
        {
            using var end = new CancellationTokenSource();
            var traffic = Enumerable.Range(0, 2).Select(_ => Traffic(node, acme, end.Token)).ToArray();
            await KilledOnItsWay(old);
            var done = await NubabelCommand.Run(database, old, "master-key", "rotate");
            Assert.True(done.Code == 0, done.Errors);
            await end.CancelAsync();
            Assert.All(await Task.WhenAll(traffic), rounds => Assert.True(rounds > 0));
        }
        Assert.Equal(0, await Under(Old));
        Assert.Equal(0L, await database.Scalar<long>($"select count(*) from (select wrapped from nubabel.signing_keys union all select wrapped from nubabel.audit_keys) k where encode(substring(wrapped from 1 for 8), 'hex') <> '{next.Fingerprint}'"));
        Assert.Equal(
            $"This database was written with another master key (fingerprint {next.Fingerprint}, this one is {Old.Fingerprint}). Without that key its secrets cannot be read. Is it one that was exchanged since, as after a restore, Keys__MasterPrevious takes it.",
            (await Assert.ThrowsAsync<MasterKeyRefused>(() => TestApi.Start(database))).Message);

        await using var last = await TestApi.Start(database, Only(Secret));
        await held.StillWorks(last, acme);
        var again = await NubabelCommand.Run(database, new Dictionary<string, string> { ["Keys__Master"] = Convert.ToBase64String(Secret) }, "master-key", "status");
        Assert.EndsWith("Nothing is under way.\n", again.Output, StringComparison.Ordinal);
        var verified = await NubabelCommand.Run(database, new Dictionary<string, string> { ["Keys__Master"] = Convert.ToBase64String(Secret) }, "audit", "verify");
        Assert.True(verified.Code == 0, verified.ToString());
    }

    [Fact]
    public async Task With_one_key_alone_nothing_is_exchanged_and_it_says_so()
    {
        await using (var node = await TestApi.Start(database)) await node.SignUp();
        const string all = """
            select md5(string_agg(k, ' ' order by k)) from (
              select encode(wrapped, 'hex') k from nubabel.subject_keys union all select encode(root, 'hex') from nubabel.master_keys union all select encode(wrapped, 'hex') from nubabel.signing_keys
              union all select encode(wrapped, 'hex') from nubabel.audit_keys union all select coalesce(master, '-') from nubabel.key_watch) x
            """;
        var before = await database.Scalar<string>(all);
        var (code, output, errors) = await NubabelCommand.Run(database, "master-key", "rotate");
        Assert.Equal((1, ""), (code, output));
        Assert.EndsWith("Nothing was exchanged: only one master key is configured. Set Keys__Master to the new one and Keys__MasterPrevious to the one before it, on every node and here.\n", errors, StringComparison.Ordinal);
        Assert.Equal(before, await database.Scalar<string>(all));
    }

    private async Task KilledOnItsWay(Dictionary<string, string> old)
    {
        // One of the later batches waits for a key of its: however late the signal comes, it is on its way, and never gets to the end.
        await using (var held = await HeldLock.Of(database, $"select from nubabel.subject_keys where subject = 'planted-{Planted - 1}' for update"))
        await using (var rotating = NubabelCommand.Start(database, old, "master-key", "rotate"))
        {
            await held.Waited("in the middle", TimeSpan.FromSeconds(60));
            Assert.True(await Under(next) > 1_000);
            await rotating.Kill();
            await rotating.End();
            await held.EndWaiting();
        }
        var left = await Under(Old);
        Assert.InRange(left, 1, Planted + 1_000);
        var status = await NubabelCommand.Run(database, old, "master-key", "status");
        Assert.Contains($"wraps now   {next.Fingerprint}", status.Output, StringComparison.Ordinal);
        Assert.Contains($" by {Old.Fingerprint}", status.Output, StringComparison.Ordinal);
        Assert.Contains("nubabel master-key rotate goes on.", status.Output, StringComparison.Ordinal);
        // Half way the old key is needed, and who does not have it does not start.
        Assert.Contains("Keys__MasterPrevious must name it", (await Assert.ThrowsAsync<MasterKeyRefused>(() => TestApi.Start(database, Only(Secret)))).Message, StringComparison.Ordinal);
        Assert.Equal(0, await Under(Old) - left);
    }

    /// <summary>What a server needs a key for, again and again: signing in, opening, sealing, new subjects. Each answer must be right.</summary>
    private static async Task<int> Traffic(TestApi node, TestTenant acme, CancellationToken end)
    {
        for (var rounds = 0; ; rounds++)
        {
            if (end.IsCancellationRequested) return rounds;
            var signedIn = await Reply.To(node.Client, "POST", "/api/auth/sign-in", new { organization = acme.Slug, email = acme.Email, password = TestTenant.Password });
            Assert.True(signedIn.Status == 200, signedIn.ToString());
            using var client = node.As(signedIn.Text("access_token"));
            Assert.Equal("Ada Lovelace", (await Reply.To(client, "GET", "/api/user")).Text("name"));
            var newcomer = await node.SignUp();
            Assert.Equal("Ada Lovelace", (await Reply.To(newcomer.Client, "GET", "/api/user")).Text("name"));
        }
    }

    private static void Both(Dictionary<string, string?> settings)
    {
        settings["Keys:MasterPrevious"] = settings["Keys:Master"];
        settings["Keys:Master"] = Convert.ToBase64String(Secret);
    }

    private static Action<Dictionary<string, string?>> Only(byte[] secret) => settings => settings["Keys:Master"] = Convert.ToBase64String(secret);

    private static string Text(int first) => Convert.ToBase64String(Enumerable.Range(first, 32).Select(i => (byte)i).ToArray());

    private Task<long> Under(MasterKey key) => database.Scalar<long>($"select count(*) from nubabel.subject_keys where encode(substring(wrapped from 1 for 8), 'hex') = '{key.Fingerprint}'");

    /// <summary>Enough to kill somebody in the middle.</summary>
    private async Task Plant()
    {
        const string tenant = "0198aaaa-0000-7000-8000-000000000001";
        var masters = new MasterKeys(Old);
        var rows = Enumerable.Range(0, Planted).Select(i => $"planted-{i}").ToArray();
        await using var insert = database.Superuser.CreateCommand("insert into nubabel.subject_keys (tenant_id, subject, wrapped) select $1, s, w from unnest($2, $3) u (s, w)");
        insert.Parameters.Add(new NpgsqlParameter<string> { TypedValue = tenant });
        insert.Parameters.Add(new NpgsqlParameter { Value = rows, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Varchar });
        insert.Parameters.Add(new NpgsqlParameter { Value = rows.Select(s => masters.Wrap("subject-key", $"{tenant}|{s}", new byte[32])).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Bytea });
        await insert.ExecuteNonQueryAsync();
    }

    /// <summary>What was handed out under the old key.</summary>
    private sealed record Held(string ApiKey, string AccessToken, string RefreshToken, string Jwks, string Export, Reply Once)
    {
        private const string Key = "a-request-that-is-repeated";

        public static async Task<Held> Of(TestTenant acme)
        {
            var key = await Reply.To(acme.Client, "POST", "/api/api-keys", new { name = "nightly", scopes = new[] { "organization:read" } });
            Assert.Equal(201, key.Status);
            var invited = await Reply.To(acme.Client, "POST", "/api/invitations", new { email = "bob@example.org", role = "member" }, key: Key);
            Assert.Equal(201, invited.Status);
            var jwks = await Reply.To(acme.Api.Client, "GET", "/.well-known/jwks.json");
            // An export does not wait long for the trail: it goes as far as that is.
            await acme.Api.HasSeen("audit");
            var export = await Reply.To(acme.Client, "GET", "/api/user/data-export");
            Assert.Contains("Ada Lovelace", export.Body, StringComparison.Ordinal);
            return new Held(key.Text("key"), acme.AccessToken, acme.RefreshToken, jwks.Body, export.Body, invited);
        }

        public async Task StillWorks(TestApi api, TestTenant acme)
        {
            Assert.Equal(Jwks, (await Reply.To(api.Client, "GET", "/.well-known/jwks.json")).Body);
            using var user = api.As(AccessToken);
            Assert.Equal(acme.Email, (await Reply.To(user, "GET", "/api/user")).Text("email"));
            using var program = api.As(ApiKey);
            Assert.Equal(200, (await Reply.To(program, "GET", "/api/organization")).Status);
            // The same answer to the same request: what it hands out is derived again.
            Assert.Equal(Once.Body, (await Reply.To(user, "POST", "/api/invitations", new { email = "bob@example.org", role = "member" }, key: Key)).Body);
            await api.HasSeen("audit");
            var export = await Reply.To(user, "GET", "/api/user/data-export");
            Assert.Contains("Ada Lovelace", export.Body, StringComparison.Ordinal);
            Assert.Equal(JsonElement.Parse(Export).GetProperty("profile").ToString(), export.Json.GetProperty("profile").ToString());
            Assert.Equal(200, (await Reply.To(api.Client, "POST", "/api/auth/refresh", new { refresh_token = RefreshToken })).Status);
            var signedIn = await Reply.To(api.Client, "POST", "/api/auth/sign-in", new { organization = acme.Slug, email = acme.Email.ToUpperInvariant(), password = TestTenant.Password });
            Assert.Equal((int)HttpStatusCode.OK, signedIn.Status);
        }
    }
}
