using System.Net;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>Requests at the same time with one Idempotency-Key are one request with many answers, all the same.</summary>
[Collection(TwoNodes.Name)]
public sealed class IdempotencyRaceTests(TwoNodes nodes)
{
    [Fact]
    public async Task What_is_kept_of_a_body_lets_nobody_guess_the_password_in_it()
    {
        var acme = await nodes.A.SignUp();
        var (key, body) = ($"kept-{Guid.NewGuid():N}", JsonSerializer.SerializeToUtf8Bytes(new { organization = acme.Slug, email = acme.Email, password = TestTenant.Password }));
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/auth/sign-in") { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new("application/json");
        request.Headers.Add("Idempotency-Key", key);
        Assert.Equal(HttpStatusCode.OK, (await nodes.A.Client.SendAsync(request)).StatusCode);
        var database = nodes.A.Services.GetRequiredService<Node>().Database.Api;
        var kept = await IdempotencyRecord.Find(database, Node.Platform, "anonymous POST /api/auth/sign-in", key, Idempotency.Hours, default);
        Assert.NotNull(kept);
        Assert.NotEqual(SHA256.HashData(body), kept.RequestHash);
    }

    [Fact]
    public async Task Forty_registrations_with_one_key_register_one_device_and_all_get_the_same_answer()
    {
        var acme = await nodes.A.SignUp();
        var clients = nodes.Clients(acme);
        var first = await Same(40, i => Reply.To(clients[i % 2], "POST", "/api/devices", new { name = "phone", type = "mobile" }, key: i % 3 == 0 ? "\"one\"" : "one"));

        Assert.Equal(201, first.Status);
        Assert.Equal("\"1\"", first.ETag);
        Assert.Equal($"/api/devices/{first.Text("id")}", first.Location);
        Assert.NotNull(first.Position);
        Assert.Equal(1, await nodes.Events(acme, "device_registered"));
        await Reply.To(clients[0], "PUT", first.Location + "/name", new { name = "pocket" });
        // The device has moved on; the answer to this request has not.
        Assert.Equal(first, await Reply.To(clients[1], "POST", "/api/devices", new { name = "phone", type = "mobile" }, key: "one"));
    }

    [Fact]
    public async Task Forty_sign_ups_with_one_key_found_one_organization_and_all_get_the_same_tokens()
    {
        var slug = $"t{Guid.NewGuid():N}"[..24];
        var body = new { organization = new { name = "Acme", slug }, email = $"ada@{slug}.example", password = TestTenant.Password, name = "Ada" };
        var key = Guid.NewGuid().ToString();
        var first = await Same(40, i => Reply.To(nodes.Anonymous[i % 2], "POST", "/api/signup", body, key));

        Assert.Equal(201, first.Status);
        Assert.NotNull(first.Position);
        Assert.Equal(3, await nodes.Database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{first.Text("organization_id")}'"));
        Assert.Equal(200, (await Reply.To(nodes.B.As(first.Text("access_token")), "GET", "/api/user")).Status);
    }

    [Fact]
    public async Task Forty_sign_ins_with_one_key_open_one_session_and_all_get_the_same_tokens()
    {
        var acme = await nodes.A.SignUp();
        var key = Guid.NewGuid().ToString();
        var first = await Same(40, i => Reply.To(
            nodes.Anonymous[i % 2], "POST", "/api/auth/sign-in", new { organization = acme.Slug, email = acme.Email, password = TestTenant.Password }, key));

        Assert.Equal(200, first.Status);
        Assert.Equal(2, await nodes.Events(acme, "session_opened"));
    }

    [Fact]
    public async Task Twenty_refreshes_with_one_key_get_the_same_tokens_to_the_byte()
    {
        var acme = await nodes.A.SignUp();
        var first = await Same(20, i => Reply.To(nodes.Anonymous[i % 2], "POST", "/api/auth/refresh", new { refresh_token = acme.RefreshToken }, "again"));

        Assert.Equal(200, first.Status);
        Assert.Equal(1, await nodes.Events(acme, "session_refreshed"));
    }

    [Fact]
    public async Task Another_body_under_the_key_is_refused()
    {
        var clients = nodes.Clients(await nodes.A.SignUp());
        Assert.Equal(201, (await Reply.To(clients[0], "POST", "/api/devices", new { name = "phone", type = "mobile" }, "k")).Status);
        var other = await Reply.To(clients[1], "POST", "/api/devices", new { name = "laptop", type = "desktop" }, "k");
        Assert.Equal((422, "idempotency.mismatch"), (other.Status, other.Code));
    }

    [Fact]
    public async Task A_key_is_another_one_for_another_user_another_organization_and_another_route()
    {
        var acme = await nodes.A.SignUp();
        var everybody = new[] { acme.Client, (await nodes.Member(acme))[1], (await nodes.B.SignUp()).Client };
        var replies = await Burst.Of(3, i => Reply.To(everybody[i], "POST", "/api/devices", new { name = "phone", type = "mobile" }, "k"));

        Assert.All(replies, r => Assert.Equal(201, r.Status));
        Assert.Equal(3, replies.Select(r => r.Location).Distinct().Count());
        var renamed = await Reply.To(acme.Client, "PUT", replies[0].Location + "/name", new { name = "pocket" }, "k");
        Assert.Equal((200, "pocket"), (renamed.Status, renamed.Text("name")));
        var revoked = await Reply.To(acme.Client, "PUT", replies[0].Location + "/revocation", new { reason = "lost" }, "k");
        Assert.Equal("revoked", revoked.Text("status"));
    }

    [Fact]
    public async Task A_refused_request_leaves_no_record_and_its_key_can_be_used_again()
    {
        var clients = nodes.Clients(await nodes.A.SignUp());
        var holder = await Reply.To(clients[0], "POST", "/api/devices", new { name = "phone", type = "mobile" });
        Assert.Equal(409, (await Reply.To(clients[0], "POST", "/api/devices", new { name = "phone", type = "web" }, "k")).Status);
        Assert.Equal(422, (await Reply.To(clients[1], "POST", "/api/devices", new { name = "", type = "web" }, "k")).Status);
        Assert.Equal(204, (await Reply.To(clients[1], "DELETE", holder.Location!)).Status);
        Assert.Equal(201, (await Reply.To(clients[1], "POST", "/api/devices", new { name = "phone", type = "web" }, "k")).Status);
    }

    [Fact]
    public async Task A_change_that_changes_nothing_is_repeated_with_the_answer_it_had()
    {
        var acme = await nodes.A.SignUp();
        var clients = nodes.Clients(acme);
        var device = (await Reply.To(clients[0], "POST", "/api/devices", new { name = "phone", type = "mobile" })).Location!;
        var first = await Same(10, i => Reply.To(clients[i % 2], "PUT", device + "/name", new { name = "phone" }, "k"));
        Assert.Equal((200, "\"1\""), (first.Status, first.ETag));
        await Reply.To(clients[0], "PUT", device + "/name", new { name = "pocket" });
        Assert.Equal(first, await Reply.To(clients[1], "PUT", device + "/name", new { name = "phone" }, "k"));

        var user = await Same(10, i => Reply.To(clients[i % 2], "PATCH", "/api/user", new { name = "Ada Lovelace" }, "k"));
        Assert.Equal((200, "\"1\""), (user.Status, user.ETag));
    }

    [Fact]
    public async Task A_deletion_repeated_with_its_key_stays_done_and_without_it_is_not_found()
    {
        var clients = nodes.Clients(await nodes.A.SignUp());
        var device = (await Reply.To(clients[0], "POST", "/api/devices", new { name = "phone", type = "mobile" })).Location!;
        var first = await Same(20, i => Reply.To(clients[i % 2], "DELETE", device, key: "k"));
        Assert.Equal(204, first.Status);
        Assert.Equal(first, await Reply.To(clients[1], "DELETE", device, key: "k"));
        Assert.Equal(404, (await Reply.To(clients[1], "DELETE", device)).Status);
    }

    [Fact]
    public async Task Revoking_the_others_with_one_key_ends_all_of_them_and_is_counted_alike_each_time()
    {
        var acme = await nodes.A.SignUp();
        var clients = nodes.Clients(acme);
        var others = new List<Reply>();
        for (var i = 0; i < 3; i++) others.Add(await nodes.SignIn(acme));
        var first = await Same(10, i => Reply.To(clients[i % 2], "POST", "/api/sessions/revoke-others", key: "k"));

        Assert.Equal(3, first.Json.GetProperty("revoked").GetInt32());
        Assert.NotNull(first.Position);
        Assert.Equal(3, await nodes.Events(acme, "session_revoked"));
        var later = await nodes.SignIn(acme);
        Assert.Equal(first, await Reply.To(clients[1], "POST", "/api/sessions/revoke-others", key: "k"));
        Assert.Equal(200, (await Reply.To(nodes.B.As(later.Text("access_token")), "GET", "/api/user")).Status);
    }

    /// <summary>The one answer that all of them got.</summary>
    private static async Task<Reply> Same(int count, Func<int, Task<Reply>> act)
    {
        var answers = (await Burst.Of(count, act)).Distinct().ToArray();
        Assert.True(answers.Length == 1, string.Join('\n', answers.AsEnumerable()));
        return answers[0];
    }
}
