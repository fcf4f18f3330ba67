using System.Net.Http.Json;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenants;

/// <summary>The audit trail as operators read it.</summary>
public sealed class AuditAdminTests : IAsyncLifetime
{
    private const string Path = "/api/admin/audit-logs";
    private HttpClient platform = null!;
    private TestTenant acme = null!;

    public async Task InitializeAsync()
    {
        var api = await TestApi.Shared;
        (platform, acme) = (await api.Operator(), await api.SignUp());
    }

    public Task DisposeAsync()
    {
        platform.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task The_platforms_trail_shows_what_belongs_to_no_organization()
    {
        var key = $"f{Guid.NewGuid():N}";
        using var created = await platform.PostAsJsonAsync("/admin/feature-flags", new { key, enabled = false });
        var entry = Assert.Single(await platform.Items($"{Path}?object=flag-{key}", created.Position()));
        Assert.Equal(("flag.created", "127.0.0.1"), (entry.Text("action"), entry.Text("ip")));
        Assert.Empty(await platform.Items($"{Path}?object=organization-{acme.Id}", created.Position()));
    }

    [Fact]
    public async Task An_organizations_trail_is_read_by_its_id_with_personal_values_opened()
    {
        using var renamed = await acme.Client.PatchAsJsonAsync("/api/organization", new { name = "Acme Ltd" });
        var theirs = await platform.Items($"{Path}?organization={acme.Id}", renamed.Position());
        // That the operator has looked stands in front of it by now.
        var own = (await acme.Client.Items("/api/audit-logs", renamed.Position())).Where(e => e.Text("action") != "personal_data.read");
        Assert.Equal(own.Select(e => e.GetRawText()), theirs.Select(e => e.GetRawText()));
        var entry = Assert.Single(await platform.Items($"{Path}?organization={acme.Id}&action=organization.renamed&actor=user:{acme.User}", renamed.Position()));
        Assert.Equal("127.0.0.1", entry.Text("ip"));
        Assert.Empty(await platform.Items($"{Path}?organization={acme.Id}&to=2026-01-01T00:00:00Z", renamed.Position()));
    }

    [Fact]
    public async Task Pages_go_on_in_the_organization_they_began_in()
    {
        using var renamed = await acme.Client.PatchAsJsonAsync("/api/organization", new { name = "Acme Ltd" });
        await platform.Items(Path, renamed.Position());
        var first = await platform.GetAsync($"{Path}?organization={acme.Id}&limit=1").Json();
        var cursor = first.Text("next");
        var second = await platform.GetAsync($"{Path}?organization={acme.Id}&limit=1&cursor={cursor}").Json();
        Assert.NotEqual(first.GetProperty("items")[0].Text("id"), second.GetProperty("items")[0].Text("id"));
        await platform.GetAsync($"{Path}?limit=1&cursor={cursor}").Refused(400, "cursor.invalid");
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("*DEFAULT*")]
    [InlineData("")]
    [InlineData("0198aaaa-0000-7000-8000-00000000dead")]
    [InlineData("0198AAAA-0000-7000-8000-00000000DEAD")]
    public async Task What_is_no_organization_is_missing(string organization) =>
        await platform.GetAsync($"{Path}?organization={Uri.EscapeDataString(organization)}").Refused(404, "organization.missing");

    [Fact]
    public async Task An_unreadable_time_is_refused() => await platform.GetAsync($"{Path}?from=yesterday").Refused(400, "query.invalid");
}
