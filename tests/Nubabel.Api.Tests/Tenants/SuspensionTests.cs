using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Organizations;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Projections.Organizations;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenants;

/// <summary>What suspension and closure do to those who are signed in, on both nodes. The bound is wider than the second that is promised, for a machine with other work.</summary>
[Collection(TwoNodes.Name)]
public sealed class SuspensionTests(TwoNodes nodes)
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    [Fact]
    public async Task A_suspended_organization_stops_on_every_node_and_goes_on_without_a_new_sign_in()
    {
        var acme = await nodes.A.SignUp();
        using var platform = await nodes.A.Operator();
        var clients = nodes.Clients(acme);
        foreach (var client in clients) Assert.Equal(200, (await Reply.To(client, "GET", "/api/user")).Status);

        await Reply.To(platform, "PUT", $"/api/admin/tenants/{acme.Id}/suspension", new { reason = "unpaid" });
        foreach (var client in clients)
        {
            foreach (var path in new[] { "/api/user", "/api/flags", "/api/devices" })
                await Burst.Until($"{path} is refused", Soon, async () => await Reply.To(client, "GET", path) is { Status: 403, Code: "organization.suspended" });
        }
        foreach (var node in nodes.Anonymous)
        {
            var refresh = await Reply.To(node, "POST", "/api/auth/refresh", new { refresh_token = acme.RefreshToken });
            Assert.Equal((403, "organization.suspended", "access_denied"), (refresh.Status, refresh.Code, refresh.Text("error")));
            var right = await SignIn(node, acme, TestTenant.Password);
            Assert.Equal((403, "organization.suspended", "access_denied"), (right.Status, right.Code, right.Text("error")));
            Assert.Equal((401, "sign_in.failed"), await Code(SignIn(node, acme, "not the password")));
        }

        await Reply.To(platform, "DELETE", $"/api/admin/tenants/{acme.Id}/suspension");
        foreach (var client in clients) await Burst.Until("the token counts again", Soon, async () => (await Reply.To(client, "GET", "/api/user")).Status == 200);
        Assert.Equal(200, (await Reply.To(nodes.B.Client, "POST", "/api/auth/refresh", new { refresh_token = acme.RefreshToken })).Status);
        Assert.Equal(200, (await SignIn(nodes.B.Client, acme, TestTenant.Password)).Status);
    }

    [Fact]
    public async Task A_closing_organization_works_until_its_time_and_is_closed_once_by_all_nodes_together()
    {
        var acme = await nodes.A.SignUp();
        var clients = nodes.Clients(acme);
        var closing = await Reply.To(acme.Client, "PUT", "/api/organization/closure", new { password = TestTenant.Password, reason = "we move on" });
        Assert.Equal((200, "active"), (closing.Status, closing.Text("status")));
        var closesAt = closing.Json.GetProperty("closesAt").GetDateTimeOffset();
        Assert.InRange(closesAt - nodes.Time.GetUtcNow(), TimeSpan.FromDays(29.9), TimeSpan.FromDays(30));
        // Each node looks by itself every minute; here all looks are the test's, so that it can count who closed.
        foreach (var node in new[] { nodes.A, nodes.B }) await node.Services.GetRequiredService<Closures>().StopAsync(CancellationToken.None);
        // What is due is found in a list: who looks before it shows the wish finds nothing for that reason.
        await nodes.A.HasSeen(OrganizationList.Name);
        Assert.Equal(0, await Round(nodes.B));

        nodes.Time.Move(TimeSpan.FromDays(30) - TimeSpan.FromMinutes(5));
        var fresh = await nodes.SignIn(acme);
        Assert.Equal(200, fresh.Status);
        clients = [nodes.A.As(fresh.Text("access_token")), nodes.B.As(fresh.Text("access_token"))];
        foreach (var client in clients) Assert.Equal(200, (await Reply.To(client, "GET", "/api/user")).Status);

        nodes.Time.Move(TimeSpan.FromMinutes(6));
        foreach (var client in clients) Assert.Equal((403, "organization.closed"), await Code(Reply.To(client, "GET", "/api/user")));
        Assert.Equal(1, (await Burst.Of(6, i => Round(i % 2 == 0 ? nodes.A : nodes.B))).Sum());
        Assert.Equal(1L, await nodes.Events(acme, "organization_closed"));
        Assert.Equal("system:closures", await nodes.Database.Scalar<string>($"select user_name from events.mt_events where tenant_id = '{acme.Id}' and type = 'organization_closed'"));
        foreach (var client in clients) Assert.Equal((403, "organization.closed"), await Code(Reply.To(client, "GET", "/api/user")));
        Assert.Equal((401, "sign_in.failed"), await Code(SignIn(nodes.A.Client, acme, TestTenant.Password)));
        Assert.Equal((400, "session.invalid_grant"), await Code(Reply.To(nodes.A.Client, "POST", "/api/auth/refresh", new { refresh_token = fresh.Text("refresh_token") })));
        var taken = await Reply.To(nodes.A.Client, "POST", "/api/signup", new { organization = new { name = "Acme", slug = acme.Slug }, email = "eve@example.org", password = TestTenant.Password, name = "Eve" });
        Assert.Equal((409, "organization.slug_taken"), (taken.Status, taken.Code));

        using var platform = await nodes.A.Operator();
        Assert.Equal("closed", (await Reply.To(platform, "GET", $"/api/admin/tenants/{acme.Id}")).Text("status"));
        foreach (var (method, path) in new[] { ("PUT", "suspension"), ("DELETE", "suspension"), ("PUT", "closure"), ("DELETE", "closure") })
            Assert.Equal((403, "organization.closed"), await Code(Reply.To(platform, method, $"/api/admin/tenants/{acme.Id}/{path}")));
    }

    [Fact]
    public async Task A_node_that_starts_closes_what_has_become_due()
    {
        var acme = await nodes.A.SignUp();
        using var platform = await nodes.A.Operator();
        await Reply.To(platform, "PUT", $"/api/admin/tenants/{acme.Id}/closure", new { closesAt = nodes.Time.GetUtcNow().AddMinutes(1) });
        nodes.Time.Move(TimeSpan.FromMinutes(2));
        await using var late = await TestApi.Start(nodes.Database, time: nodes.Time);
        await Burst.Until("the organization is closed", TimeSpan.FromSeconds(20), async () => await nodes.Events(acme, "organization_closed") == 1);
    }

    [Fact]
    public async Task Taking_a_closure_back_and_carrying_it_out_at_once_end_in_one_of_both()
    {
        using var platform = await nodes.A.Operator();
        var outcomes = await Burst.Of(6, async _ =>
        {
            var acme = await nodes.A.SignUp();
            await Reply.To(platform, "PUT", $"/api/admin/tenants/{acme.Id}/closure", new { closesAt = nodes.Time.GetUtcNow().AddSeconds(2) });
            return acme;
        });
        nodes.Time.Move(TimeSpan.FromSeconds(30));
        var closing = Burst.Of(4, i => Round(i % 2 == 0 ? nodes.A : nodes.B));
        var kept = await Burst.Of(outcomes.Length, i => Reply.To(platform, "DELETE", $"/api/admin/tenants/{outcomes[i].Id}/closure"));
        await closing;
        for (var i = 0; i < outcomes.Length; i++)
        {
            var expected = kept[i].Status == 204 ? (0L, "active") : (1L, "closed");
            // The list of what is due is a read model: a round sees it as soon as the daemon has been there.
            await Burst.Until($"an organization whose closure was {(kept[i].Status == 204 ? "taken back stays" : "due is closed")}", Soon, async () =>
            {
                await Round(nodes.A);
                return expected == (await nodes.Events(outcomes[i], "organization_closed"), (await Reply.To(platform, "GET", $"/api/admin/tenants/{outcomes[i].Id}")).Text("status"));
            });
            Assert.True(kept[i].Status == 204 || kept[i].Code == "organization.closed", kept[i].Body);
        }
    }

    private static async Task<int> Round(TestApi node) => await node.Services.GetRequiredService<Closures>().Round(CancellationToken.None);

    private static Task<Reply> SignIn(HttpClient node, TestTenant tenant, string password) =>
        Reply.To(node, "POST", "/api/auth/sign-in", new { organization = tenant.Slug, email = tenant.Email, password });

    private static async Task<(int, string?)> Code(Task<Reply> reply) => ((await reply).Status, (await reply).Code);
}
