using Nubabel.Api.Tests.Races;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Retention;

[Collection(RetentionNodes.Name)]
public sealed class RetentionPolicyTests(RetentionNodes nodes)
{
    private const string Path = "/api/retention-policies", AdminPath = "/api/admin/retention-policies";

    [Fact]
    public async Task An_organizations_period_comes_before_the_platforms_and_that_before_the_products()
    {
        var acme = await nodes.A.SignUp();
        using var platform = await nodes.A.Operator();
        Assert.Equal((730, "product", 730), await Of(acme.Client, "leads"));
        Assert.Equal(200, (await Reply.To(platform, "PUT", $"{AdminPath}/leads", new { days = 365 })).Status);
        Assert.Equal((365, "platform", 365), await Of(acme.Client, "leads"));
        Assert.Equal(200, (await Reply.To(acme.Client, "PUT", $"{Path}/leads", new { days = 100 })).Status);
        Assert.Equal((100, "organization", 365), await Of(nodes.B.As(acme.AccessToken), "leads"));
        Assert.Equal((365, "platform", 365), await Of(platform, "leads", AdminPath));
        Assert.Equal(204, (await Reply.To(acme.Client, "DELETE", $"{Path}/leads")).Status);
        Assert.Equal(204, (await Reply.To(platform, "DELETE", $"{AdminPath}/leads")).Status);
        Assert.Equal((730, "product", 730), await Of(acme.Client, "leads"));
    }

    [Fact]
    public async Task A_period_has_bounds_and_some_have_no_choice()
    {
        var acme = await nodes.A.SignUp();
        foreach (var days in new[] { 29, 3_651, -1 }) Assert.Equal((422, "retention.period_invalid"), await Code(Reply.To(acme.Client, "PUT", $"{Path}/leads", new { days })));
        Assert.Equal((409, "retention.fixed"), await Code(Reply.To(acme.Client, "PUT", $"{Path}/idempotency-records", new { days = 2 })));
        foreach (var category in new[] { "closed-organizations", "unknown" })
            Assert.Equal((404, "retention.category_missing"), await Code(Reply.To(acme.Client, "PUT", $"{Path}/{category}", new { days = 30 })));
        var admin = (await acme.Colleague(Role.Admin)).Client;
        Assert.Equal(200, (await Reply.To(admin, "GET", $"{Path}/leads")).Status);
        Assert.Equal((403, "permission.denied"), await Code(Reply.To(admin, "PUT", $"{Path}/leads", new { days = 30 })));
        Assert.Equal((403, "permission.denied"), await Code(Reply.To(admin, "POST", "/api/retention-runs", new { dryRun = true })));
    }

    [Fact]
    public async Task Of_two_who_change_a_period_at_once_the_second_is_told()
    {
        var acme = await nodes.A.SignUp();
        var set = await Reply.To(acme.Client, "PUT", $"{Path}/webhooks", new { days = 30 });
        Assert.Equal(set.ETag, (await Reply.To(acme.Client, "GET", $"{Path}/webhooks")).ETag);
        Assert.Equal(304, (await Reply.To(acme.Client, "GET", $"{Path}/webhooks", ifNoneMatch: set.ETag)).Status);
        var replies = await Burst.Of(2, i => Reply.To(acme.Client, "PUT", $"{Path}/webhooks", new { days = 40 + i }, ifMatch: set.ETag));
        Assert.Equal([200, 412], replies.Select(r => r.Status).Order());
        Assert.Equal(412, (await Reply.To(acme.Client, "DELETE", $"{Path}/webhooks", ifMatch: set.ETag)).Status);
    }

    /// <summary>One truth: what the answer of an export says follows from the period.</summary>
    [Fact]
    public async Task The_period_of_exports_is_the_one_that_bundles_are_made_with()
    {
        var acme = await nodes.A.SignUp();
        await Reply.To(acme.Client, "PUT", $"{Path}/data-exports", new { days = 2 });
        var started = await Reply.To(acme.Client, "POST", "/api/user/data-exports");
        Reply job = null!;
        await Burst.Until("the bundle is made", RetentionNodes.Bound, async () => (job = await Reply.To(acme.Client, "GET", started.Location!)).Text("state") == "completed");
        Assert.InRange(job.Json.GetProperty("result").GetProperty("expiresAt").GetDateTimeOffset() - nodes.Time.GetUtcNow(), TimeSpan.FromDays(1.9), TimeSpan.FromDays(2));
    }

    private static async Task<(int, string, int)> Of(HttpClient client, string category, string path = Path)
    {
        var policy = (await Reply.To(client, "GET", path)).Json.GetProperty("items").EnumerateArray().First(i => i.GetProperty("category").GetString() == category);
        return (policy.GetProperty("days").GetInt32(), policy.GetProperty("source").GetString()!, policy.GetProperty("inherited").GetInt32());
    }

    private static async Task<(int, string?)> Code(Task<Reply> reply) => ((await reply).Status, (await reply).Code);
}
