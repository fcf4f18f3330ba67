using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain;
using Nubabel.Domain.Consents;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Consents;

/// <summary>Purposes and who has agreed to them, over the wire.</summary>
public sealed class ConsentsTests : IAsyncLifetime
{
    private const string Purposes = "/api/consent-purposes", Own = "/api/user/consents";
    private TestApi api = null!;
    private TestTenant acme = null!, bob = null!;

    public async Task InitializeAsync()
    {
        api = await TestApi.Shared;
        acme = await api.SignUp();
        bob = await acme.Colleague(Role.Viewer);
    }

    public Task DisposeAsync() => Task.CompletedTask;

    [Fact]
    public async Task A_person_sees_gives_and_withdraws_and_each_of_it_is_proved_word_by_word()
    {
        await Declare("newsletter");
        Assert.Equal(("none", false), await StateOf(bob, "newsletter"));
        var given = await Reply.To(bob.Client, "PUT", $"{Own}/newsletter", new { textVersion = 1, channel = "settings-page" });
        Assert.Equal((200, "given", 1, "settings-page"), (given.Status, given.Text("state"), given.Json.GetProperty("givenVersion").GetInt32(), given.Text("channel")));
        Assert.Equal(("given", true), await StateOf(bob, "newsletter"));
        // The same once more is the same: no second entry, the same version.
        Assert.Equal(given.ETag, (await Reply.To(bob.Client, "PUT", $"{Own}/newsletter", new { textVersion = 1, channel = "settings-page" })).ETag);
        Assert.Equal(204, (await Reply.To(bob.Client, "DELETE", $"{Own}/newsletter?channel=mail-footer")).Status);
        Assert.Equal(204, (await Reply.To(bob.Client, "DELETE", $"{Own}/newsletter")).Status);
        Assert.Equal(("withdrawn", false), await StateOf(bob, "newsletter"));
        var proof = await bob.Client.Items($"{Own}/newsletter/history");
        Assert.Equal(["withdrawn", "given"], proof.Select(e => e.Text("state")));
        Assert.Equal(("mail-footer", $"user:{bob.User}"), (proof[0].Text("channel"), proof[0].Text("actor")));
        Assert.Equal(("The newsletter", "Once a month.\nEnd it at any time.", "settings-page"), (proof[1].Text("title"), proof[1].Text("text"), proof[1].Text("channel")));
        // Whoever reads the proof can compute it anew.
        Assert.Equal(proof[1].Text("textHash"), Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{proof[1].Text("title")}\n\n{proof[1].Text("text")}"))));
        Assert.Equal(proof.Select(e => e.ToString()), (await acme.Client.Items($"/api/consents/{bob.User}/newsletter/history")).Select(e => e.ToString()));
    }

    [Fact]
    public async Task In_the_trail_no_consent_replaces_one_to_something_else()
    {
        foreach (var purpose in new[] { "newsletter", "analytics" })
        {
            await Declare(purpose);
            Assert.Equal(200, (await Reply.To(bob.Client, "PUT", $"{Own}/{purpose}", new { textVersion = 1 })).Status);
            Assert.Equal(204, (await Reply.To(bob.Client, "DELETE", $"{Own}/{purpose}")).Status);
        }
        var trail = (await bob.Trail("?action=consent.given")).Concat(await bob.Trail("?action=consent.withdrawn")).ToArray();
        Assert.Equal(4, trail.Length);
        Assert.All(trail, e => Assert.False(e.TryGetProperty("before", out var before) && before.ValueKind == JsonValueKind.Object, e.GetRawText()));
    }

    [Fact]
    public async Task Another_text_asks_again_and_whoever_saw_the_old_one_is_told()
    {
        await Declare("newsletter");
        var first = await Reply.To(bob.Client, "PUT", $"{Own}/newsletter", new { textVersion = 1 }, key: "once");
        await acme.Client.PatchAsJsonAsync($"{Purposes}/newsletter", new { text = "Once a week." }).Json();
        Assert.Equal(("outdated", false), await StateOf(bob, "newsletter"));
        var stale = await Reply.To(bob.Client, "PUT", $"{Own}/newsletter", new { textVersion = 1 });
        Assert.Equal((409, "consent.text_changed", 2), (stale.Status, stale.Code, stale.Json.GetProperty("textVersion").GetInt32()));
        // A request that was answered once is answered so again.
        Assert.Equal((200, first.ETag), await Reply.To(bob.Client, "PUT", $"{Own}/newsletter", new { textVersion = 1 }, key: "once") is var again ? (again.Status, again.ETag) : default);
        Assert.Equal(200, (await Reply.To(bob.Client, "PUT", $"{Own}/newsletter", new { textVersion = 2 })).Status);
        Assert.Equal(("given", true), await StateOf(bob, "newsletter"));
        Assert.Equal(["Once a week.", "Once a month.\nEnd it at any time."], (await bob.Client.Items($"{Own}/newsletter/history")).Select(e => e.Text("text")));
    }

    [Fact]
    public async Task What_rests_on_a_contract_is_not_withdrawn_and_to_a_legitimate_interest_one_objects()
    {
        await Declare("terms", "contract", required: true);
        await Declare("statistics", "legitimateInterests");
        Assert.Equal(("none", true), await StateOf(bob, "terms"));
        Assert.Equal((409, "consent.not_withdrawable"), await Reply.To(bob.Client, "DELETE", $"{Own}/terms") is var kept ? (kept.Status, kept.Code) : default);
        Assert.Equal(("none", true), await StateOf(bob, "statistics"));
        Assert.Equal(204, (await Reply.To(bob.Client, "DELETE", $"{Own}/statistics")).Status);
        Assert.Equal(("withdrawn", false), await StateOf(bob, "statistics"));
    }

    [Fact]
    public async Task Admins_see_who_agreed_to_what_and_how_many()
    {
        await Declare("newsletter");
        await Declare("research");
        var carol = await acme.Colleague();
        var dave = await acme.Colleague();
        foreach (var who in new[] { bob, carol }) await Reply.To(who.Client, "PUT", $"{Own}/newsletter", new { textVersion = 1 });
        using var changed = await acme.Client.PatchAsJsonAsync($"{Purposes}/newsletter", new { text = "Once a week." });
        await Reply.To(carol.Client, "PUT", $"{Own}/newsletter", new { textVersion = 2 });
        await Reply.To(bob.Client, "PUT", $"{Own}/research", new { textVersion = 1 });
        await Reply.To(dave.Client, "PUT", $"{Own}/newsletter", new { textVersion = 2 });
        var last = await Reply.To(dave.Client, "DELETE", $"{Own}/newsletter");
        async Task<string[]> Who(string query) => [.. (await acme.Client.Items($"/api/consents?{query}", last.Position)).Select(c => $"{Name(c.Text("userId"))} {c.Text("purpose")} {c.Text("state")}")];
        string Name(string user) => user == bob.User ? "bob" : user == carol.User ? "carol" : user == dave.User ? "dave" : "?";
        Assert.Equal((string[])["dave newsletter withdrawn", "bob research given", "carol newsletter given", "bob newsletter outdated"], await Who(""));
        Assert.Equal((string[])["carol newsletter given"], await Who("purpose=newsletter&state=given"));
        Assert.Equal((string[])["bob newsletter outdated"], await Who("state=outdated"));
        Assert.Equal((string[])["dave newsletter withdrawn"], await Who("purpose=newsletter&state=withdrawn"));
        Assert.Equal((string[])["bob research given", "bob newsletter outdated"], await Who($"user={bob.User}"));
        Assert.Empty(await Who("former=true"));
        var counts = await acme.Client.Text($"{Purposes}/newsletter/counts", last.Position);
        Assert.Equal("""{"purpose":"newsletter","textVersion":2,"given":1,"outdated":1,"withdrawn":1,"undecided":1}""", counts);
        // Who leaves is counted no more, and the proof stays.
        var left = await Reply.To(carol.Client, "DELETE", $"/api/members/{carol.User}");
        Assert.Equal([$"carol newsletter given"], (await acme.Client.Items("/api/consents?former=true", left.Position)).Select(c => $"{Name(c.Text("userId"))} {c.Text("purpose")} {c.Text("state")}"));
        Assert.Contains("\"given\":0,", await acme.Client.Text($"{Purposes}/newsletter/counts", left.Position), StringComparison.Ordinal);
        Assert.Equal(2, (await acme.Client.Items($"/api/consents/{carol.User}/newsletter/history")).Count);
    }

    [Fact]
    public async Task Code_asks_and_hears_what_holds_from_the_commit_on()
    {
        await Declare("newsletter");
        var (consents, key) = (api.Services.GetRequiredService<Api.Consents.Consents>(), PurposeKey.Parse("newsletter"));
        Task<bool> Has() => consents.Has(acme.Id, Id<User>.Parse(bob.User), key, CancellationToken.None);
        Assert.False(await Has());
        await Reply.To(bob.Client, "PUT", $"{Own}/newsletter", new { textVersion = 1 });
        Assert.True(await Has());
        Assert.False(await consents.Has((await api.SignUp()).Id, Id<User>.Parse(bob.User), key, CancellationToken.None));
        await Reply.To(bob.Client, "DELETE", $"{Own}/newsletter");
        Assert.False(await Has());
        await Reply.To(bob.Client, "PUT", $"{Own}/newsletter", new { textVersion = 1 });
        await Reply.To(bob.Client, "DELETE", $"/api/members/{bob.User}");
        Assert.False(await Has());
    }

    [Fact]
    public async Task A_retired_purpose_allows_nothing_and_can_still_be_withdrawn_from()
    {
        await Declare("old");
        await Declare("never-decided-on");
        await Reply.To(bob.Client, "PUT", $"{Own}/old", new { textVersion = 1 });
        Assert.Equal(204, (await Reply.To(acme.Client, "DELETE", $"{Purposes}/old")).Status);
        var retired = await Reply.To(acme.Client, "DELETE", $"{Purposes}/never-decided-on");
        Assert.Equal(("given", false), await StateOf(bob, "old"));
        Assert.Equal(["old"], (await bob.Client.Items(Own, retired.Position)).Select(c => c.Text("purpose")));
        Assert.Equal(409, (await Reply.To(bob.Client, "PUT", $"{Own}/old", new { textVersion = 1 })).Status);
        Assert.Equal(204, (await Reply.To(bob.Client, "DELETE", $"{Own}/old")).Status);
        Assert.Equal(("withdrawn", false), await StateOf(bob, "old"));
        Assert.Equal(["never-decided-on", "old"], (await acme.Client.Items($"{Purposes}?retired=true", retired.Position)).Select(c => c.Text("key")));
        Assert.Equal((409, "purpose.retired"), await Reply.To(acme.Client, "POST", Purposes, Wanted("old", "consent", false)) is var again ? (again.Status, again.Code) : default);
    }

    [Fact]
    public async Task The_past_is_shown_as_it_was()
    {
        var declared = await Declare("newsletter");
        var given = await Reply.To(bob.Client, "PUT", $"{Own}/newsletter", new { textVersion = 1 });
        var changed = await Reply.To(acme.Client, "PATCH", $"{Purposes}/newsletter", new { text = "Once a week." });
        var withdrawn = await Reply.To(bob.Client, "DELETE", $"{Own}/newsletter");
        async Task<string> At(string? position, string who = Own) => (await Reply.To(who == Own ? bob.Client : acme.Client, "GET", $"{who}/newsletter?at={position}")).Text("state");
        Assert.Equal(["none", "given", "outdated", "withdrawn"], (string[])[await At(declared.Position), await At(given.Position), await At(changed.Position), await At(withdrawn.Position)]);
        Assert.Equal("outdated", await At(changed.Position, $"/api/consents/{bob.User}"));
        Assert.Equal("Once a month.\nEnd it at any time.", (await Reply.To(acme.Client, "GET", $"{Purposes}/newsletter?at={given.Position}")).Text("text"));
        Assert.Equal((404, "resource.not_yet"), await Reply.To(bob.Client, "GET", $"{Own}/newsletter?at=1") is var before ? (before.Status, before.Code) : default);
        var tag = (await Reply.To(bob.Client, "GET", $"{Own}/newsletter")).ETag;
        Assert.Equal(304, (await Reply.To(bob.Client, "GET", $"{Own}/newsletter", ifNoneMatch: tag)).Status);
    }

    [Fact]
    public async Task It_is_in_what_a_person_takes_away_with_its_words()
    {
        await Declare("newsletter");
        await Reply.To(bob.Client, "PUT", $"{Own}/newsletter", new { textVersion = 1, channel = "settings-page" });
        await acme.Client.PatchAsJsonAsync($"{Purposes}/newsletter", new { text = "Once a week." }).Json();
        await Reply.To(bob.Client, "DELETE", $"{Own}/newsletter");
        // An export does not wait long for the trail: it goes as far as that is.
        await api.HasSeen("audit");
        var held = (await bob.Client.GetAsync("/api/user/data-export").Json()).GetProperty("consents");
        Assert.Equal(["given Once a month.\nEnd it at any time.", "withdrawn "], held.EnumerateArray().Select(c => $"{c.Text("state")} {(c.TryGetProperty("text", out var text) ? text.GetString() : "")}"));
        Assert.Equal(0, (await acme.Client.GetAsync("/api/user/data-export").Json()).GetProperty("consents").GetArrayLength());
    }

    [Fact]
    public async Task Pages_end_and_continue()
    {
        foreach (var key in new[] { "a", "b", "c" }) await Declare(key);
        var last = await Declare("d");
        var keys = new List<string>();
        for (string? next = $"{Own}?limit=3"; next is not null;)
        {
            var page = JsonElement.Parse(await bob.Client.Text(next, last.Position));
            keys.AddRange(page.GetProperty("items").EnumerateArray().Select(c => c.Text("purpose")));
            next = page.GetProperty("next").GetString() is { } cursor ? $"{Own}?limit=3&cursor={Uri.EscapeDataString(cursor)}" : null;
        }
        Assert.Equal(["a", "b", "c", "d"], keys);
    }

    [Fact]
    public async Task What_is_not_acceptable_is_refused_by_name()
    {
        await Declare("newsletter");
        Assert.Equal((403, "permission.denied"), await Reply.To(bob.Client, "POST", Purposes, Wanted("x", "consent", false)) is var denied ? (denied.Status, denied.Code) : default);
        Assert.Equal((403, "permission.denied"), await Reply.To(bob.Client, "GET", "/api/consents") is var hidden ? (hidden.Status, hidden.Code) : default);
        Assert.Equal((422, "purpose.lawful_basis_invalid"), await Reply.To(acme.Client, "POST", Purposes, Wanted("x", "because", false)) is var basis ? (basis.Status, basis.Code) : default);
        Assert.Equal((422, "purpose.key_invalid"), await Reply.To(acme.Client, "POST", Purposes, Wanted("X", "consent", false)) is var key ? (key.Status, key.Code) : default);
        Assert.Equal((409, "purpose.key_taken"), await Reply.To(acme.Client, "POST", Purposes, Wanted("newsletter", "contract", false)) is var taken ? (taken.Status, taken.Code) : default);
        // Declared once more as it is: nothing is written, and the answer is the same, as with a flag.
        Assert.Equal((201, "\"1\""), await Reply.To(acme.Client, "POST", Purposes, Wanted("newsletter", "consent", false)) is var again ? (again.Status, again.ETag) : default);
        Assert.Equal((412, "resource.version_mismatch"), await Reply.To(acme.Client, "PATCH", $"{Purposes}/newsletter", new { required = true }, ifMatch: "\"7\"") is var old ? (old.Status, old.Code) : default);
        Assert.Equal((422, "consent.channel_invalid"), await Reply.To(bob.Client, "PUT", $"{Own}/newsletter", new { textVersion = 1, channel = "Ada's phone" }) is var from ? (from.Status, from.Code) : default);
        Assert.Equal((404, "purpose.missing"), await Reply.To(bob.Client, "PUT", $"{Own}/unknown", new { textVersion = 1 }) is var unknown ? (unknown.Status, unknown.Code) : default);
        Assert.Equal("query.invalid", (await Reply.To(acme.Client, "GET", "/api/consents?state=none")).Code);
        var history = (await acme.Client.Items($"{Purposes}/newsletter/history")).Single();
        Assert.Equal("purpose.declared", history.Text("action"));
    }

    private static object Wanted(string key, string basis, bool required) => new { key, title = $"The {key}", text = "Once a month.\r\nEnd it at any time.", lawfulBasis = basis, required };

    private async Task<Reply> Declare(string key, string basis = "consent", bool required = false)
    {
        var declared = await Reply.To(acme.Client, "POST", Purposes, Wanted(key, basis, required));
        Assert.Equal((int)HttpStatusCode.Created, declared.Status);
        return declared;
    }

    private static async Task<(string State, bool Allowed)> StateOf(TestTenant who, string purpose)
    {
        var shown = await Reply.To(who.Client, "GET", $"{Own}/{purpose}");
        return (shown.Text("state"), shown.Json.GetProperty("allowed").GetBoolean());
    }
}
