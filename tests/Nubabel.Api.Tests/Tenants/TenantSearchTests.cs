using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenants;

/// <summary>The list of organizations, found by the beginning of slug or name, by status and by plan.</summary>
public sealed class TenantSearchTests : IAsyncLifetime
{
    private readonly string mark = $"q{Guid.NewGuid():N}"[..12];
    private HttpClient platform = null!;
    private TestTenant plain = null!, named = null!;
    private string position = "";

    /// <summary>Four organizations: three by slug, one by name alone.</summary>
    public async Task InitializeAsync()
    {
        var api = await TestApi.Shared;
        platform = await api.Operator();
        foreach (var (slug, name) in new[] { ($"{mark}-b", "Zeta"), ($"{mark}-a", "Zeta"), ($"{mark}-c", $"{mark} too") })
            await SignUp(api, slug, name);
        plain = await api.SignUp();
        named = await api.SignUp();
        using var renamed = await named.Client.PatchAsJsonAsync("/api/organization", new { name = $"{mark.ToUpperInvariant()} ÄRGER & Co" });
        position = renamed.Position();
    }

    public Task DisposeAsync()
    {
        platform.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task Slugs_come_first_in_their_order_then_names()
    {
        Assert.Equal([$"{mark}-a", $"{mark}-b", $"{mark}-c", named.Slug], await Slugs($"q={mark}"));
        Assert.Equal([$"{mark}-a", $"{mark}-b", $"{mark}-c", named.Slug], await Slugs($"q={mark.ToUpperInvariant()}"));
        Assert.Equal([$"{mark}-b"], await Slugs($"q={mark}-b"));
        Assert.Equal([named.Slug], await Slugs($"q={Uri.EscapeDataString(mark + " ärger & c")}"));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Pages_lose_and_repeat_nothing(int limit) => Assert.Equal([$"{mark}-a", $"{mark}-b", $"{mark}-c", named.Slug], await Slugs($"q={mark}", limit));

    [Fact]
    public async Task Without_a_text_all_are_listed_by_slug()
    {
        var slugs = await Slugs("q=", 200);
        Assert.Equal(slugs.Order(StringComparer.Ordinal).Distinct(), slugs);
        Assert.Equal(5, slugs.Intersect([$"{mark}-a", $"{mark}-b", $"{mark}-c", named.Slug, plain.Slug]).Count());
    }

    [Theory]
    [InlineData("%25")]
    [InlineData("_")]
    [InlineData("'")]
    [InlineData("%5C")]
    [InlineData("%F0%9F%91%A9%E2%80%8D")]
    [InlineData("%EF%BF%BD")]
    [InlineData("%0A%01")]
    [InlineData("%E2%80%A8x")]
    [InlineData("%F4%8F%BF%BF")]
    public async Task An_odd_text_is_a_text_like_any_other(string q) => Assert.Empty(await Slugs($"q={mark}{q}"));

    [Fact]
    public async Task A_text_that_is_much_too_long_finds_nothing() => Assert.Empty(await Slugs($"q={new string('a', 4_000)}"));

    [Fact]
    public async Task What_cannot_be_asked_is_refused()
    {
        await platform.GetAsync("/api/admin/tenants?q=a%00").Refused(400, "query.invalid");
        await platform.GetAsync("/api/admin/tenants?status=sleeping").Refused(400, "query.invalid");
        await platform.GetAsync("/api/admin/tenants?Q=a").Refused(400, "query.unknown");
    }

    [Fact]
    public async Task Status_and_plan_narrow_the_list()
    {
        var plan = $"p{mark}";
        await platform.PatchAsJsonAsync($"/api/admin/tenants/{plain.Id}", new { plan }).Json();
        await platform.PatchAsJsonAsync($"/api/admin/tenants/{named.Id}", new { plan }).Json();
        using var suspended = await platform.PutAsync($"/api/admin/tenants/{named.Id}/suspension", null);
        position = suspended.Position();
        Assert.Equal(new[] { plain.Slug, named.Slug }.Order(StringComparer.Ordinal), await Slugs($"plan={plan}"));
        Assert.Equal([named.Slug], await Slugs($"plan={plan}&status=suspended"));
        Assert.Equal([plain.Slug], await Slugs($"plan={plan}&status=active"));
        Assert.Empty(await Slugs($"plan={plan}&status=closed"));
        Assert.Equal([named.Slug], await Slugs($"q={mark}&status=suspended"));
        Assert.Empty(await Slugs("plan=NO%20PLAN"));
    }

    [Fact]
    public async Task An_item_looks_as_the_organization_read_alone()
    {
        var item = Assert.Single(await platform.Items($"/api/admin/tenants?q={mark}-a", position));
        Assert.Equal((await platform.GetAsync($"/api/admin/tenants/{item.Text("id")}").Json()).GetRawText(), JsonSerializer.Serialize(item));
    }

    private static async Task SignUp(TestApi api, string slug, string name)
    {
        using var answer = await api.Client.PostAsJsonAsync("/api/signup", new { organization = new { name, slug }, email = "ada@example.org", password = TestTenant.Password, name = "Ada" });
        answer.EnsureSuccessStatusCode();
    }

    private async Task<List<string>> Slugs(string query, int limit = 50)
    {
        var slugs = new List<string>();
        for (string? cursor = ""; cursor is not null;)
        {
            var page = await platform.Get($"/api/admin/tenants?{query}&limit={limit}{cursor}", position).Json();
            slugs.AddRange(page.GetProperty("items").EnumerateArray().Select(i => i.Text("slug")));
            cursor = page.GetProperty("next").GetString() is { } next ? "&cursor=" + next : null;
        }
        return slugs;
    }
}
