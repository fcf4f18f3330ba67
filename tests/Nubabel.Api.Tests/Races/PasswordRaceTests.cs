using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Operators;
using Nubabel.Domain;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>A new password ends what the old one opened, also what it opens in that very moment.</summary>
[Collection(TwoNodes.Name)]
public sealed class PasswordRaceTests(TwoNodes nodes)
{
    private const string New = "another battery of horses";

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task No_session_of_the_old_password_outlives_a_new_one(bool reset)
    {
        for (var round = 0; round < 3; round++)
        {
            var acme = await nodes.A.SignUp();
            var token = "";
            if (reset)
            {
                await Reply.To(nodes.A.Client, "POST", "/api/auth/password-reset", new { organization = acme.Slug, email = acme.Email });
                token = (await nodes.A.LetterTo(acme.Email)).Token;
            }
            using var stop = new CancellationTokenSource();
            var hammer = Burst.Of(8, async i =>
            {
                var tokens = new List<Reply>();
                while (!stop.IsCancellationRequested)
                {
                    var reply = await TwoNodes.SignInAt(i % 2 == 0 ? nodes.A : nodes.B, acme);
                    if (reply.Status == 200) tokens.Add(reply);
                    else if (reply.Status == 429) break;
                }
                return tokens;
            });
            await Burst.Until("some have signed in", TimeSpan.FromSeconds(20), async () => await nodes.Events(acme, "session_opened") > 10);
            var changed = reset
                ? await Reply.To(nodes.B.Client, "POST", "/api/auth/password-reset/confirm", new { token, password = New })
                : await Reply.To(nodes.B.As(acme.AccessToken), "PUT", "/api/user/password", new { current = TestTenant.Password, @new = New });
            Assert.True(changed.Status == 204, changed.Body);
            await Burst.Until("the old password is refused or locked", TimeSpan.FromSeconds(20), async () => (await nodes.SignIn(acme)).Status != 200);
            await stop.CancelAsync();
            var opened = (await hammer).SelectMany(t => t).ToArray();

            // In the log nothing lives but the session that made the change.
            Assert.Equal(reset ? 0 : 1, await nodes.Database.Scalar<long>($"""
                select count(*) from events.mt_events o where tenant_id = '{acme.Id}' and type = 'session_opened'
                   and not exists (select from events.mt_events r where r.tenant_id = o.tenant_id and r.stream_id = o.stream_id and r.type = 'session_revoked')
                """));
            // And on either node no token does anything.
            foreach (var session in opened.TakeLast(10))
                foreach (var api in new[] { nodes.A, nodes.B })
                {
                    using var client = api.As(session.Text("access_token"));
                    await Burst.Until("the access token is refused", TimeSpan.FromSeconds(10), async () => (await Reply.To(client, "GET", "/api/user")).Status == 401);
                    Assert.Equal(400, (await Reply.To(api.Client, "POST", "/api/auth/refresh", new { refresh_token = session.Text("refresh_token") })).Status);
                }
        }
    }

    [Fact]
    public async Task Of_two_uses_of_one_link_at_the_same_time_one_counts()
    {
        var acme = await nodes.A.SignUp();
        await Reply.To(nodes.A.Client, "POST", "/api/auth/password-reset", new { organization = acme.Slug, email = acme.Email });
        var token = (await nodes.A.LetterTo(acme.Email)).Token;
        var replies = await Burst.Of(10, i => Reply.To(i % 2 == 0 ? nodes.A.Client : nodes.B.Client, "POST", "/api/auth/password-reset/confirm", new { token, password = $"{New} {i}" }));
        Assert.Equal((1, 9), (replies.Count(r => r.Status == 204), replies.Count(r => r.Code == "password_reset.token_invalid")));
        var winner = Array.FindIndex(replies, r => r.Status == 204);
        Assert.Equal(200, (await Reply.To(nodes.A.Client, "POST", "/api/auth/sign-in", new { organization = acme.Slug, email = acme.Email, password = $"{New} {winner}" })).Status);
    }
}

/// <summary>Two lanes at the work of hashing.</summary>
[Collection(Alone.Name)]
public sealed class HashingLaneTests
{
    [Fact]
    public async Task A_flood_of_sign_ins_to_organizations_keeps_no_operator_out()
    {
        await using var api = await TestApi.Start(await TestDatabase.Shared, build: builder => builder.Services.AddSingleton(new Passwords()));
        var services = api.Services;
        var address = $"op-{Guid.NewGuid():N}@nubabel.example";
        await OperatorsApi.Add(
            services.GetRequiredService<Node>(), services.GetRequiredService<SignIns>(), services.GetRequiredService<Passwords>(), Email.Parse(address), Password.Parse(TestTenant.Password), CancellationToken.None);
        var flood = Burst.Of(120, i => Reply.To(api.Client, "POST", "/api/auth/sign-in", new { organization = "nobodys", email = $"{i}-{Guid.NewGuid():N}@example.com", password = "wrong wrong wrong" }));
        await Burst.Until("the flood has begun", TimeSpan.FromSeconds(20), async () => await Task.FromResult(!flood.IsCompleted));
        var operators = await Reply.To(api.Client, "POST", "/admin/auth/sign-in", new { email = address, password = TestTenant.Password });
        Assert.Equal(200, operators.Status);
        // It did not wait for its turn behind them.
        Assert.False(flood.IsCompleted);
        Assert.All(await flood, r => Assert.True(r.Status is 401 or 503, r.Body));
    }
}
