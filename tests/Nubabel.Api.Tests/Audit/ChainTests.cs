using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Commands;
using Nubabel.Api.Tests.Races;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Audit;

/// <summary>The audit chain as auditors meet it: a proof over HTTP, the command line on the database, and a file where there is none.</summary>
public sealed class ChainTests : IAsyncLifetime
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);
    private readonly string folder = Directory.CreateTempSubdirectory("nubabel-chain-").FullName;
    private TestDatabase database = null!;

    public async Task InitializeAsync() => database = await TestDatabase.New();

    public async Task DisposeAsync()
    {
        await database.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task An_event_is_proven_over_http_and_the_chain_on_the_command_line_until_somebody_changes_it()
    {
        TestTenant acme;
        long position;
        await using (var api = await TestApi.Start(database))
        {
            acme = await api.SignUp();
            var device = await Reply.To(acme.Client, "POST", "/api/devices", new { name = "phone", type = "mobile" });
            await Reply.To(acme.Client, "PUT", $"/api/devices/{device.Text("id")}/key", new { publicKey = "AAAA" });
            position = await database.Scalar<long>($"select seq_id from events.mt_events where stream_id = 'device-{device.Text("id")}' and type = 'device_key_changed'");
            await Signed(api, acme.Id);
            await Proven(acme, position);
            await Refused(api, acme, position);
        }

        var file = Path.Combine(folder, "chain.ndjson");
        Assert.Equal(0, (await NubabelCommand.Run(database, "audit", "verify")).Code);
        Assert.Equal(0, (await NubabelCommand.Run(database, "audit", "export", "--tenant", acme.Id, "--out", file)).Code);
        var keys = Path.Combine(folder, "keys.json");
        await File.WriteAllTextAsync(keys, (await NubabelCommand.Run(database, "audit", "keys")).Output);
        var statements = Path.Combine(folder, "kept");
        await File.WriteAllTextAsync(statements, (await NubabelCommand.Run(database, "audit", "checkpoints", "--tenant", acme.Id)).Output);
        Assert.Equal((0, true), await Said(" valid ", "--in", file, "--keys", keys, "--checkpoints", statements));

        await ChangedFiles(file, keys, position);
        await database.Run($"update events.mt_events set data = jsonb_set(data, '{{publicKey}}', '\"BBBB\"') where seq_id = {position}");
        Assert.Equal((1, true), await Said($"altered at position {position} ", "--tenant", acme.Id));
    }

    private static async Task Proven(TestTenant acme, long position)
    {
        var proof = (await Reply.To(acme.Client, "GET", $"/api/audit-logs/proof?position={position}")).Json;
        var e = proof.GetProperty("event");
        var digest = ChainDigest.Of(new LoggedEvent
        {
            Position = position,
            Id = e.GetProperty("id").GetGuid(),
            Tenant = acme.Id,
            Stream = e.GetProperty("stream").GetString()!,
            Version = e.GetProperty("version").GetInt64(),
            Type = "device_key_changed",
            At = DateTime.UnixEpoch.AddTicks(e.GetProperty("at").GetInt64() * TimeSpan.TicksPerMicrosecond),
            Actor = e.GetProperty("actor").GetString(),
            Data = e.GetProperty("data").GetString()!,
            Headers = e.GetProperty("headers").GetString(),
        });
        var digests = proof.GetProperty("digests").EnumerateArray().Select(d => Convert.FromHexString(d.GetString()!)).ToArray();
        Assert.Equal(digest, digests[0]);
        var link = digests.Aggregate(Convert.FromHexString(proof.GetProperty("before").GetString()!), (before, d) => ChainDigest.Link(before, d));
        Assert.Equal(proof.GetProperty("link").GetString(), Convert.ToHexStringLower(link));
        var keys = (await Reply.To(acme.Client, "GET", "/api/audit-logs/keys")).Json;
        var signed = Checkpoint.Read(proof.GetProperty("checkpoint").GetString()!, ChainKeys.Verifying(keys));
        Assert.Equal(acme.Id, signed!.Tenant);
        Assert.Equal(link, signed.Link);
        Assert.Equal(signed.Entries, proof.GetProperty("entry").GetInt64() + digests.Length - 1);
        Assert.Equal(signed.Entries, (await Reply.To(acme.Client, "GET", "/api/audit-logs/checkpoints")).Json.GetProperty("items").EnumerateArray().Last().GetProperty("entries").GetInt64());
    }

    /// <summary>No proof tells a hash of a password, and none is another's.</summary>
    private async Task Refused(TestApi api, TestTenant acme, long position)
    {
        var sealedAt = await database.Scalar<long>($"select min(seq_id) from events.mt_events where tenant_id = '{acme.Id}' and data ? 'passwordHash'");
        var withheld = (await Reply.To(acme.Client, "GET", $"/api/audit-logs/proof?position={sealedAt}")).Json.GetProperty("event");
        Assert.Equal((JsonValueKind.Null, true), (withheld.TryGetProperty("data", out var data) ? data.ValueKind : JsonValueKind.Null, withheld.GetProperty("withheld").GetBoolean()));
        var other = await api.SignUp();
        Assert.Equal((404, "audit.entry_missing"), await Reply.To(other.Client, "GET", $"/api/audit-logs/proof?position={position}") is var reply ? (reply.Status, reply.Code) : default);
        foreach (var odd in new[] { "-1", "x", "", "99999999999999999999" }) Assert.Equal(400, (await Reply.To(acme.Client, "GET", $"/api/audit-logs/proof?position={odd}")).Status);
        Assert.Equal(404, (await Reply.To(acme.Client, "GET", "/api/audit-logs/proof?position=9223372036854775807")).Status);
    }

    private async Task ChangedFiles(string file, string keys, long position)
    {
        var lines = await File.ReadAllLinesAsync(file);
        var at = Array.FindIndex(lines, l => l.Contains($"\"position\":{position},", StringComparison.Ordinal));
        foreach (var (change, finding) in new (Func<string[]> Change, string Finding)[]
        {
            (() => [.. lines.Select((l, i) => i == at ? l.Replace("AAAA", "BBBB", StringComparison.Ordinal) : l)], $"altered at position {position} "),
            (() => [.. lines.Where((_, i) => i != 1)], "missing"),
            (() => [lines[0], lines[2], lines[1], .. lines[3..]], "missing"),
            (() => [.. lines[..2], .. lines.Where(l => l.StartsWith("{\"checkpoint\"", StringComparison.Ordinal))], "truncated"),
        })
        {
            var changed = file + ".changed";
            await File.WriteAllLinesAsync(changed, change());
            Assert.Equal((1, true), await Said(finding, "--in", changed, "--keys", keys));
        }
        await File.WriteAllTextAsync(file + ".odd", "{}");
        var odd = await NubabelCommand.Run(database, "audit", "verify", "--in", file + ".odd");
        Assert.True(odd.Code == 1 && odd.Errors.Contains("nubabel-audit-chain-1", StringComparison.Ordinal), odd.ToString());
    }

    private async Task<(int Code, bool Said)> Said(string finding, params string[] arguments)
    {
        var (code, output, errors) = await NubabelCommand.Run(database, ["audit", "verify", .. arguments]);
        Assert.True(output.Contains(finding, StringComparison.Ordinal), $"{finding} is not in {output}{errors}");
        return (code, true);
    }

    /// <summary>A keeper that does not wait a minute before it signs.</summary>
    private async Task Signed(TestApi api, string tenant)
    {
        var node = api.Services.GetRequiredService<Node>();
        await using var keeper = new ChainKeeper(node.Database.Daemon, new ChainKeys(node.Database.Daemon, node.Masters), new ChainOptions { Age = TimeSpan.Zero, Every = TimeSpan.FromMilliseconds(50) });
        keeper.Start();
        var clock = System.Diagnostics.Stopwatch.StartNew();
        while (await database.Scalar<long>($"select count(*) from nubabel.audit_heads h where tenant_id = '{tenant}' and signed = entries and position >= (select max(seq_id) from events.mt_events where tenant_id = '{tenant}')") == 0)
        {
            Assert.True(clock.Elapsed < Bound, $"nothing is signed: {keeper.Fault}");
            await Task.Delay(20);
        }
    }
}
