using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Operators;
using Nubabel.Domain;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>So many wrong passwords for one address, and nobody signs in with it for a while.</summary>
[Collection(TwoNodes.Name)]
public sealed class LockOutTests(TwoNodes nodes)
{
    private static object Credentials(TestTenant acme, string password = "not the right password", string? email = null) => new { organization = acme.Slug, email = email ?? acme.Email, password };

    private static Task<Reply> SignIn(TestApi api, object credentials) => Reply.To(api.Client, "POST", "/api/auth/sign-in", credentials);

    [Fact]
    public async Task A_hundred_at_once_on_one_node_are_ten_refusals_and_ninety_times_locked()
    {
        var acme = await nodes.A.SignUp();
        var replies = await Burst.Of(100, _ => SignIn(nodes.A, Credentials(acme)));
        Assert.Equal((10, 90), (replies.Count(r => r.Code == "sign_in.failed"), replies.Count(r => r is { Status: 429, Code: "sign_in.locked" })));
        Assert.All(replies.Where(r => r.Status == 429), r => Assert.InRange(int.Parse(r.RetryAfter!, System.Globalization.CultureInfo.InvariantCulture), 890, 900));
        // While it is locked nothing more is recorded.
        Assert.Equal((10, 1), (await nodes.Events(acme, "sign_in_failed"), await nodes.Events(acme, "sign_in_locked")));
    }

    [Fact]
    public async Task Two_nodes_together_let_through_at_most_one_more()
    {
        var acme = await nodes.A.SignUp();
        var replies = await Burst.Of(100, i => SignIn(i % 2 == 0 ? nodes.A : nodes.B, Credentials(acme)));
        Assert.InRange(replies.Count(r => r.Status == 401), 10, 11);
        Assert.Equal(100, replies.Count(r => r.Status is 401 or 429));
        Assert.Equal(10, await nodes.Events(acme, "sign_in_failed"));
    }

    [Fact]
    public async Task Who_exists_and_who_does_not_are_locked_alike_also_for_the_right_password()
    {
        var acme = await nodes.A.SignUp();
        var nobody = $"nobody-{Guid.NewGuid():N}@example.com";
        var bodies = new HashSet<string>();
        foreach (var (wrong, right) in new[]
        {
            (Credentials(acme), Credentials(acme, TestTenant.Password)),
            (Credentials(acme, email: nobody), Credentials(acme, TestTenant.Password, nobody)),
            (new { organization = "no-such-organization", email = nobody, password = "wrong" }, new { organization = "no-such-organization", email = nobody, password = TestTenant.Password }),
        })
        {
            for (var i = 0; i < 10; i++) Assert.Equal("sign_in.failed", (await SignIn(nodes.A, wrong)).Code);
            var locked = await SignIn(nodes.B, right);
            Assert.Equal(429, locked.Status);
            Assert.NotNull(locked.RetryAfter);
            var body = JsonNode.Parse(locked.Body)!.AsObject();
            body.Remove("requestId");
            bodies.Add(body.ToJsonString());
        }
        Assert.Single(bodies);
        // Another address of the same organization has nothing to do with it.
        Assert.Equal("sign_in.failed", (await SignIn(nodes.A, Credentials(acme, email: "x" + nobody))).Code);
    }

    [Fact]
    public async Task Another_spelling_of_a_locked_organization_does_not_tell_whether_it_exists()
    {
        var acme = await nodes.A.SignUp();
        var nobody = $"nobody-{Guid.NewGuid():N}@example.com";
        foreach (var organization in (string[])[acme.Slug, $"x{acme.Slug}", acme.Id, Guid.NewGuid().ToString()])
        {
            for (var i = 0; i < 10; i++) Assert.Equal(401, (await SignIn(nodes.A, new { organization, email = nobody + organization, password = "wrong" })).Status);
            Assert.Equal(429, (await SignIn(nodes.A, new { organization, email = nobody + organization, password = "wrong" })).Status);
            Assert.Equal((organization, 401), (organization, (await SignIn(nodes.A, new { organization = organization.ToUpperInvariant(), email = nobody + organization, password = "wrong" })).Status));
        }
    }

    [Fact]
    public async Task It_frees_itself_in_time_and_a_right_password_clears_the_count()
    {
        var acme = await nodes.A.SignUp();
        for (var i = 0; i < 9; i++) Assert.Equal(401, (await SignIn(nodes.A, Credentials(acme))).Status);
        Assert.Equal(200, (await SignIn(nodes.B, Credentials(acme, TestTenant.Password))).Status);
        for (var i = 0; i < 10; i++) Assert.Equal(401, (await SignIn(nodes.A, Credentials(acme))).Status);
        Assert.Equal(429, (await SignIn(nodes.A, Credentials(acme, TestTenant.Password))).Status);
        nodes.Time.Move(TimeSpan.FromMinutes(15));
        Assert.Equal(200, (await SignIn(nodes.A, Credentials(acme, TestTenant.Password))).Status);
    }

    [Fact]
    public async Task Failures_of_the_period_before_still_count()
    {
        var acme = await nodes.A.SignUp();
        // To a few minutes before the guard's stream ends.
        var period = TimeSpan.FromHours(6).Ticks;
        nodes.Time.Move(TimeSpan.FromTicks(period - nodes.Time.GetUtcNow().Ticks % period) - TimeSpan.FromMinutes(2));
        for (var i = 0; i < 6; i++) Assert.Equal(401, (await SignIn(nodes.A, Credentials(acme))).Status);
        nodes.Time.Move(TimeSpan.FromMinutes(3));
        for (var i = 0; i < 4; i++) Assert.Equal(401, (await SignIn(nodes.A, Credentials(acme))).Status);
        Assert.Equal(429, (await SignIn(nodes.A, Credentials(acme))).Status);
        Assert.Equal(2, await nodes.Database.Scalar<long>($"select count(distinct stream_id) from events.mt_events where tenant_id = '{acme.Id}' and type = 'sign_in_failed'"));
    }

    [Fact]
    public async Task A_new_password_by_mail_frees_it()
    {
        var acme = await nodes.A.SignUp();
        for (var i = 0; i < 11; i++) await SignIn(nodes.A, Credentials(acme));
        Assert.Equal(429, (await SignIn(nodes.B, Credentials(acme, TestTenant.Password))).Status);
        await Reply.To(nodes.A.Client, "POST", "/api/auth/password-reset", new { organization = acme.Slug, email = acme.Email });
        var token = (await nodes.A.LetterTo(acme.Email)).Token;
        Assert.Equal(204, (await Reply.To(nodes.B.Client, "POST", "/api/auth/password-reset/confirm", new { token, password = "another battery of horses" })).Status);
        Assert.Equal(200, (await SignIn(nodes.A, Credentials(acme, "another battery of horses"))).Status);
    }

    [Fact]
    public async Task An_operators_sign_in_is_locked_in_the_same_way()
    {
        var services = nodes.A.Services;
        var address = $"op-{Guid.NewGuid():N}@nubabel.example";
        await OperatorsApi.Add(
            services.GetRequiredService<Node>(), services.GetRequiredService<SignIns>(), services.GetRequiredService<Passwords>(), Email.Parse(address), Password.Parse(TestTenant.Password), CancellationToken.None);
        foreach (var email in new[] { address, "no-" + address })
        {
            var replies = await Burst.Of(20, _ => Reply.To(nodes.A.Client, "POST", "/admin/auth/sign-in", new { email, password = "wrong" }));
            Assert.Equal((10, 10), (replies.Count(r => r.Status == 401), replies.Count(r => r.Code == "sign_in.locked")));
            Assert.Equal(429, (await Reply.To(nodes.B.Client, "POST", "/admin/auth/sign-in", new { email, password = TestTenant.Password })).Status);
        }
    }

    [Fact]
    public async Task What_failed_is_in_the_audit_trail_with_the_callers_address_under_the_accounts_key()
    {
        var acme = await nodes.A.SignUp();
        await SignIn(nodes.A, Credentials(acme));
        await SignIn(nodes.A, Credentials(acme, email: "nobody@example.com"));
        Assert.Equal(
            [$"user-{acme.User}", "nobody"],
            await nodes.Database.Scalar<string[]>($"select array_agg(coalesce(data->>'account', 'nobody') order by seq_id) from events.mt_events where tenant_id = '{acme.Id}' and type = 'sign_in_failed'"));
        Assert.True(await nodes.Database.Scalar<bool>($"""
            select bool_and(headers->'ip'->>'s' = coalesce(data->>'account', stream_id) and user_name = 'system:sign-in') from events.mt_events where tenant_id = '{acme.Id}' and type = 'sign_in_failed'
            """));
        await Burst.Until("the trail shows both", TimeSpan.FromSeconds(10), async () =>
        {
            var items = (await Reply.To(acme.Client, "GET", "/api/audit-logs?action=sign_in.failed")).Json.GetProperty("items").EnumerateArray().ToArray();
            return items.Length == 2 && items.All(i => i.GetProperty("ip").GetString() == "127.0.0.1");
        });
    }
}
