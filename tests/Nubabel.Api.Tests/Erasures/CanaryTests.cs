using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Mail;
using Nubabel.Api.Tests.Commands;
using Nubabel.Api.Tests.Consumers;
using Nubabel.Api.Tests.DataExports;
using Nubabel.Api.Tests.Privacy;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Erasures;

/// <summary>
/// Two hundred marked texts go through everything that takes a text from a person or about one. When the person is erased none of them is in a table, in a dump
/// of the database, or in a line of the log, in whatever form. Before that some are, so the search can find them.
/// </summary>
public sealed class CanaryTests : IAsyncDisposable
{
    /// <summary>Stands in every text; with a character that JSON may escape.</summary>
    private const string Mark = "Xq7ÿkanari";

    /// <summary>The same where only letters may stand, and in network addresses.</summary>
    private const string Plain = "Xq7zkanari", Network = "2001:db8:5eed:7a";

    private readonly HashSet<string> planted = [];
    private readonly Traces.Log log = new();
    private TestDatabase database = null!;
    private TestApi api = null!;
    private Receiver echo = null!;

    public async ValueTask DisposeAsync()
    {
        await echo.DisposeAsync();
        await api.DisposeAsync();
        await database.DisposeAsync();
        log.Dispose();
    }

    [Fact]
    public async Task Of_two_hundred_texts_none_is_left()
    {
        database = await TestDatabase.New();
        echo = await Receiver.Start();
        echo.Answer = async (http, call) => await http.Response.WriteAsync(call.Text);
        api = await TestApi.Start(database, settings =>
        {
            settings["Logging:LogLevel:Default"] = "Trace";
            settings["Logging:Console:LogLevel:Default"] = settings["Logging:Console:LogLevel:Microsoft.AspNetCore"] = settings["Logging:Console:LogLevel:Npgsql"] = "None";
            settings["Proxy:TrustedNetworks"] = "127.0.0.0/8";
            settings["Limits:FailedSignIns"] = "500";
        }, builder => builder.Logging.AddProvider(log));
        var ada = await api.SignUp();
        var consumer = await ada.Consume(echo, types: "*");
        var (bob, address) = await Come(ada);
        await Live(bob, address);
        await About(ada, bob);
        await Wait(bob);
        await Bundle.Make(bob.Client);
        await Bundle.Make(ada.Client, "organization");
        await ada.Delivery(consumer, d => d.Text("type") == "nubabel.member.renamed.v1" && d.Is("delivered"));
        Assert.InRange(planted.Count, 200, 300);
        // What is not sealed is there, and the search finds it.
        var before = Found(await Traces.Rows(database));
        foreach (var table in new[] { "nubabel.idempotency", "nubabel.deliveries", "nubabel.messages", "nubabel.deferred_messages", "nubabel.dead_letters" })
            Assert.Contains(before, row => row.StartsWith(table, StringComparison.Ordinal));
        Assert.Contains(Mark, (await Reply.To(ada.Client, "GET", $"/api/members/{bob.User}")).Body, StringComparison.Ordinal);

        var erased = await Reply.To(bob.Client, "DELETE", "/api/user/account");
        Assert.True(erased.Status == 200, erased.ToString());

        Assert.Empty(Found(await Traces.Rows(database)));
        Assert.Empty(Found((await Dump.Text(database)).Split('\n')));
        Assert.Empty(Found(log.Lines));
        await Unreadable(ada, erased);
    }

    /// <summary>The search finds a mark in every form, at whatever place.</summary>
    [Fact]
    public void A_mark_is_found_in_every_form()
    {
        foreach (var before in new[] { "", "x", "xy" })
        {
            var bytes = Encoding.UTF8.GetBytes($"{before}{Mark}-7");
            foreach (var form in new[] { Convert.ToBase64String(bytes), System.Buffers.Text.Base64Url.EncodeToString(bytes), Convert.ToHexStringLower(bytes), JsonSerializer.Serialize(before + Mark), "\\\\x" + Convert.ToHexString(bytes), Mark.ToUpperInvariant() })
                Assert.Single(Found([form]));
        }
        Assert.Empty(Found([Convert.ToBase64String("nothing of the kind"u8)]));
        // What is registered disposes of nothing that was not made.
        (database, api, echo) = (null!, null!, null!);
    }

    /// <summary>What shows the person now shows nulls, to whoever looks.</summary>
    private async Task Unreadable(TestTenant ada, Reply erased)
    {
        var trail = await Reply.Seen(ada.Client, "/api/audit-logs?limit=200", erased.Position);
        Assert.Equal(200, trail.Status);
        Assert.Empty(Found([trail.Body]));
        var bundle = await Bundle.Download(ada.Client, await Bundle.Make(ada.Client, "organization"));
        Assert.Empty(Found(bundle.Files.Values.Select(Encoding.UTF8.GetString)));
        var chain = await NubabelCommand.Run(database, "audit", "verify");
        Assert.True(chain.Code == 0, chain.Output + chain.Errors);
    }

    /// <summary>By an invitation, after one that was withdrawn, and after failures to sign in with the address before there was an account.</summary>
    private async Task<(TestTenant Bob, string Address)> Come(TestTenant ada)
    {
        var address = $"{Plain}-bob@{Plain}-host.example";
        planted.Add(address);
        for (var i = 0; i < 10; i++) await As(api.Client, "POST", "/api/auth/sign-in", new { organization = ada.Slug, email = address, password = Text("guess") }, 401);
        var withdrawn = await Reply.To(ada.Client, "POST", "/api/invitations", new { email = address, role = "member" });
        Assert.Equal(204, (await Reply.To(ada.Client, "DELETE", $"/api/invitations/{withdrawn.Text("id")}")).Status);
        var invited = await Reply.To(ada.Client, "POST", "/api/invitations", new { email = address, role = "member" });
        var accepted = await As(api.Client, "POST", "/api/invitations/accept", new { token = invited.Text("token"), name = Text("name"), password = TestTenant.Password }, 201);
        return (ada with { Client = api.As(accepted.Text("access_token")), User = accepted.Text("user_id"), Email = address, AccessToken = accepted.Text("access_token"), RefreshToken = accepted.Text("refresh_token") }, address);
    }

    /// <summary>Everything that a person sends, from ever new places.</summary>
    private async Task Live(TestTenant bob, string address)
    {
        for (var i = 0; i < 8; i++) await As(bob.Client, "PATCH", "/api/user", new { name = Text("name") }, 200);
        for (var i = 0; i < 12; i++)
        {
            var device = await As(bob.Client, "POST", "/api/devices", new { name = Text("device"), type = "web" }, 201);
            await As(bob.Client, "PUT", $"/api/devices/{device.Text("id")}/name", new { name = Text("renamed") }, 200);
            if (i % 3 == 0) await As(bob.Client, "PUT", $"/api/devices/{device.Text("id")}/revocation", new { reason = Text("reason") }, 200);
            if (i % 3 == 1) await As(bob.Client, "DELETE", $"/api/devices/{device.Text("id")}", null, 204);
        }
        for (var i = 0; i < 5; i++) await As(api.Client, "POST", "/api/auth/sign-in", new { organization = bob.Slug, email = address, password = TestTenant.Password }, 200);
        for (var i = 0; i < 5; i++) await As(api.Client, "POST", "/api/auth/sign-in", new { organization = bob.Slug, email = address, password = Text("wrong") }, 401);
        await As(api.Client, "POST", "/api/auth/refresh", new { refresh_token = bob.RefreshToken }, 200);
        await As(api.Client, "POST", "/api/auth/password-reset", new { organization = bob.Slug, email = address }, 202);
        // What is refused is recorded, and is not to say more than that.
        await As(bob.Client, "POST", "/api/invitations", new { email = $"{Plain}-x@example.org", role = "member" }, 403);
        await As(bob.Client, "PATCH", "/api/user", new { name = Text("x"), unknown = Text("y") }, 400);
        await As(bob.Client, "PUT", "/api/user/password", new { current = Text("wrong password"), @new = Text("another password") }, 422);
    }

    /// <summary>What others say about the person.</summary>
    private async Task About(TestTenant ada, TestTenant bob)
    {
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(200, (await Reply.To(ada.Client, "PUT", $"/api/members/{bob.User}/suspension", new { reason = Text("suspended") })).Status);
            Assert.Equal(204, (await Reply.To(ada.Client, "DELETE", $"/api/members/{bob.User}/suspension")).Status);
        }
        var hold = await Reply.To(ada.Client, "POST", "/api/legal-holds", new { userId = bob.User, reason = Text("held") });
        Assert.Equal(200, (await Reply.To(ada.Client, "PUT", $"/api/legal-holds/{hold.Text("id")}/release", new { reason = Text("released") })).Status);
    }

    /// <summary>Messages that wait, are for later, or were given up; handlers of a product may put anything into them.</summary>
    private async Task Wait(TestTenant bob)
    {
        var journal = api.Services.GetRequiredService<Node>().Journal(bob.Id, new Origin($"user:{bob.User}"));
        for (var i = 0; i < 5; i++) journal.Enqueue(new Message(new Mailing(new Domain.Personal($"user-{bob.User}", Text("later")))) { Subject = $"user-{bob.User}", After = TimeSpan.FromDays(1), Headers = new Dictionary<string, string> { ["x"] = Text("header") } });
        await journal.Send(CancellationToken.None);
        foreach (var table in new[] { "messages", "dead_letters" })
            for (var i = 0; i < 3; i++)
                await database.Run($$"""
                    insert into nubabel.{{table}} (queue, tenant_id, lane, seq, id, type, body, subject, actor {{(table == "dead_letters" ? ", enqueued, error, attempts" : "")}})
                    values ('nobody', '{{bob.Id}}', '!{{i}}', {{i}}, gen_random_uuid(), 'letter', jsonb_build_object('text', '{{Text(table)}}'), 'user-{{bob.User}}', 'user:{{bob.User}}'
                      {{(table == "dead_letters" ? $", now(), '{Text("error")}', jsonb_build_array(jsonb_build_object('error', '{Text("attempt")}'))" : "")}})
                    """);
    }

    /// <summary>A request from a new place by a new agent under a new key.</summary>
    private async Task<Reply> As(HttpClient client, string method, string path, object? body, int status)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (body is not null) request.Content = new StringContent(JsonSerializer.Serialize(body), Encoding.UTF8, "application/json");
        var number = planted.Count;
        request.Headers.TryAddWithoutValidation("User-Agent", $"{Plain}-agent/{number}");
        request.Headers.TryAddWithoutValidation("X-Forwarded-For", $"{Network}:{number:x}::1");
        request.Headers.TryAddWithoutValidation("Idempotency-Key", $"{Plain}-key-{number}");
        planted.UnionWith([$"{Plain}-agent/{number}", $"{Network}:{number:x}::1", $"{Plain}-key-{number}"]);
        using var answer = await client.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True((int)answer.StatusCode == status, $"{method} {path}: {(int)answer.StatusCode} {text}");
        return new Reply((int)answer.StatusCode, text, null, null, null, null);
    }

    private string Text(string what)
    {
        var text = $"{Mark} {what} {planted.Count}";
        planted.Add(text);
        return text;
    }

    /// <summary>The lines in which a mark stands, in one of its forms.</summary>
    private static string[] Found(IEnumerable<string> lines)
    {
        var forms = new[] { Mark, Plain, Network }.SelectMany(mark => Traces.Forms(mark).Append(JavaScriptEncoder.Default.Encode(mark))).ToArray();
        var search = SearchValues.Create(forms, StringComparison.OrdinalIgnoreCase);
        return [.. lines.Where(line => line.AsSpan().ContainsAny(search)).Select(line => line.Length > 300 ? line[..300] + "…" : line)];
    }
}
