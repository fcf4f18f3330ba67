using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Playwright;
using Nubabel.Api.Audit;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain.Users;
using Nubabel.Projections.Sessions;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Audit;

/// <summary>The page at <c>/audit</c> as a person uses it, in a Chromium.</summary>
public sealed class AuditPageTests : IAsyncLifetime
{
    private IPlaywright? playwright;
    private IBrowser? browser;

    public async Task InitializeAsync()
    {
        if (BrowserFactAttribute.Browser is not { } executable) return;
        playwright = await Playwright.CreateAsync();
        browser = await playwright.Chromium.LaunchAsync(new() { ExecutablePath = executable, Args = ["--no-sandbox", "--disable-dev-shm-usage"] });
    }

    public async Task DisposeAsync()
    {
        if (browser is not null) await browser.DisposeAsync();
        playwright?.Dispose();
    }

    [BrowserFact]
    public async Task One_signs_in_searches_filters_unfolds_and_verifies()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var bob = await acme.Colleague(Role.Admin);
        await Device(acme, "phone", "pocket");
        await acme.Client.PutAsJsonAsync($"/api/members/{bob.User}/role", new { role = "viewer" }).Json();
        await acme.Api.HasSeen("audit");
        await Signed(acme);
        await using var visit = await Visit.Of(browser!, acme.Api);
        await visit.SignIn(acme);
        var page = visit.Page;
        await Has(page.Locator("#chain.good"), "Its signature was verified here, in your browser.");
        await Has(page.Locator("#organization-name"), "Acme " + acme.Slug);
        await Has(page.Locator(".summary").Filter(new() { HasText = "pocket" }).First, "Ada Lovelace renamed the device “phone” to “pocket”");
        await visit.Picture("light");

        await page.FillAsync("#q", "POCKET");
        await page.PressAsync("#q", "Enter");
        await Count(page.Locator(".entry"), 2);
        var entry = page.Locator(".entry").First;
        await entry.Locator(".line").FocusAsync();
        await page.Keyboard.PressAsync("Enter");
        Assert.Equal("true", await entry.Locator(".line").GetAttributeAsync("aria-expanded"));
        Assert.Equal(["name", "phone", "pocket"], await entry.Locator(".changes tbody tr").Locator("th, td").AllTextContentsAsync());
        await Has(entry.Locator(".facts"), "127.0.0.1");
        await entry.GetByRole(AriaRole.Button, new() { Name = "Verify" }).ClickAsync();
        await Has(entry.Locator(".verdict.good"), "whose signature is good.");
        await visit.Picture("unfolded");

        await page.GetByRole(AriaRole.Button, new() { Name = "Clear" }).ClickAsync();
        await page.FillAsync("#action", "user.role_changed");
        await page.PressAsync("#action", "Tab");
        await Count(page.Locator(".entry"), 1);
        await Has(page.Locator(".summary"), "Ada Lovelace changed the role of Bob from admin to viewer");
        await page.Locator(".entry .line").ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Verify" }).ClickAsync();
        await Has(page.Locator(".verdict.good"), "whose signature is good. Its digest was computed from what is stored.");
        await visit.Picture("verified");
        await page.FillAsync("#q", "no such thing");
        await page.PressAsync("#q", "Enter");
        await page.Locator("#empty").WaitForAsync();
        await visit.Picture("empty");
        await page.GetByRole(AriaRole.Button, new() { Name = "Clear" }).ClickAsync();
        var download = await page.RunAndWaitForDownloadAsync(() => page.ClickAsync("#csv"));
        Assert.Equal("nubabel-audit.csv", download.SuggestedFilename);
        Assert.Contains("Ada Lovelace renamed the device “phone” to “pocket”", await File.ReadAllTextAsync(await download.PathAsync()), StringComparison.Ordinal);
        visit.IsClean();
    }

    [BrowserFact]
    public async Task A_wrong_password_and_an_ended_sign_in_are_said()
    {
        var acme = await (await TestApi.Shared).SignUp();
        await acme.Api.HasSeen("audit");
        await using var visit = await Visit.Of(browser!, acme.Api);
        var page = visit.Page;
        await page.GotoAsync("/audit");
        await visit.Picture("sign-in");
        await page.ClickAsync("#signin-button");
        await Has(page.Locator("#signin-error"), "all three fields");
        await visit.Fill(acme, "wrong");
        await Has(page.Locator("#signin-error"), "Organization, e-mail or password is wrong.");
        await visit.SignIn(acme, open: false);
        // A token that has run out is replaced without a word.
        var refused = 0;
        await page.RouteAsync("**/api/audit-logs?*", async route =>
        {
            if (Interlocked.Increment(ref refused) == 1) await route.FulfillAsync(new() { Status = 401, ContentType = "application/problem+json", Body = """{"code":"credential.invalid"}""" });
            else await route.ContinueAsync();
        });
        await page.ClickAsync("#clear");
        await Burst.Until("the token is replaced and the list asked for again", TimeSpan.FromSeconds(15), () => Task.FromResult(refused >= 2));
        await page.Locator(".entry").First.WaitForAsync();
        await page.UnrouteAsync("**/api/audit-logs?*");
        // A session that was ended elsewhere is over here, too.
        await acme.Api.HasSeen(SessionList.Name);
        foreach (var session in await acme.Client.Items("/api/sessions"))
            if (!session.GetProperty("current").GetBoolean()) await acme.Client.DeleteAsync($"/api/sessions/{session.Text("id")}");
        await Burst.Until("the node has heard of it", TimeSpan.FromSeconds(15), async () =>
        {
            // Whether or not the page has gone back to signing in by now.
            await page.EvaluateAsync("document.getElementById('clear').click()");
            return await page.Locator("#signin-form").IsVisibleAsync();
        });
        await Has(page.Locator("#signin-error"), "Your sign-in has ended");
        Assert.Equal(0, await page.Locator(".entry").CountAsync());
        // Nothing is kept by the browser.
        Assert.Equal("0 0 ", await page.EvaluateAsync<string>("`${localStorage.length} ${sessionStorage.length} ${document.cookie}`"));
        visit.IsClean(expected: "responded with a status of 4");
    }

    [BrowserFact]
    public async Task What_others_have_written_is_text_and_an_erased_person_is_one()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var bob = await acme.Colleague();
        bob.Client.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", "<img src=x onerror=alert(2)>");
        await Device(bob, "<script>alert(1)</script>", "\"><img src=x onerror=alert(3)>");
        await Device(acme, "before", "after");
        var node = acme.Api.Services.GetRequiredService<Node>();
        var carl = await acme.Colleague();
        await Device(carl, "secret", "hidden");
        await node.Subjects.Destroy(acme.Id, [$"user-{carl.User}"], CancellationToken.None);
        await acme.Api.HasSeen("audit");
        await using var visit = await Visit.Of(browser!, acme.Api);
        await visit.SignIn(acme);
        var page = visit.Page;
        var hostile = page.Locator(".entry").Filter(new() { HasText = "<script>alert(1)</script>" }).First;
        await hostile.Locator(".line").ClickAsync();
        await Has(hostile.Locator(".facts"), "<img src=x onerror=alert(2)>");
        Assert.Equal(0, await page.Locator("#days script, #days img").CountAsync());
        await Has(page.Locator(".summary").Filter(new() { HasText = "An erased person" }).First, "An erased person renamed the device (erased) to (erased)");
        Assert.DoesNotContain("hidden", await page.Locator("#days").InnerTextAsync(), StringComparison.Ordinal);
        await page.Locator(".entry").Filter(new() { HasText = "An erased person" }).First.Locator(".line").ClickAsync();
        await visit.Picture("erased");
        visit.IsClean();
    }

    [BrowserFact]
    public async Task Older_entries_come_as_one_scrolls_and_a_failure_can_be_tried_again()
    {
        var acme = await (await TestApi.Shared).SignUp();
        for (var i = 0; i < 60; i++) (await acme.Client.PatchAsJsonAsync("/api/user", new { name = $"Ada {i}" })).EnsureSuccessStatusCode();
        await acme.Api.HasSeen("audit");
        await using var visit = await Visit.Of(browser!, acme.Api, width: 390, height: 800, dark: true);
        await visit.SignIn(acme);
        var page = visit.Page;
        await visit.Picture("mobile-dark");
        // Nothing is wider than the screen.
        Assert.True(await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= window.innerWidth"));
        await page.RouteAsync("**/api/audit-logs?*", route => route.AbortAsync());
        await page.EvaluateAsync("window.scrollTo(0, document.body.scrollHeight)");
        await Has(page.Locator("#problem"), "cannot be reached");
        await page.UnrouteAsync("**/api/audit-logs?*");
        await page.ClickAsync("#more");
        await page.EvaluateAsync("window.scrollTo(0, document.body.scrollHeight)");
        await page.Locator("#end").WaitForAsync();
        var entries = await page.Locator(".summary").AllTextContentsAsync();
        Assert.True(entries.Count > 60);
        Assert.Equal(entries.Count, (await page.Locator(".details").EvaluateAllAsync<string[]>("all => all.map(d => d.id)")).Distinct().Count());
        Assert.Equal("Ada 59 changed their name from “Ada 58” to “Ada 59”", entries.First(e => e.Contains("changed", StringComparison.Ordinal)));
        visit.IsClean(expected: "ERR_FAILED");
    }

    [BrowserFact]
    public async Task It_is_usable_without_a_mouse_and_without_eyes()
    {
        var acme = await (await TestApi.Shared).SignUp();
        await acme.Api.HasSeen("audit");
        await using var visit = await Visit.Of(browser!, acme.Api, dark: true);
        await visit.SignIn(acme);
        var page = visit.Page;
        await visit.Picture("dark");
        Assert.Equal("en", await page.GetAttributeAsync("html", "lang"));
        var nameless = await page.EvaluateAsync<string[]>("""
            [...document.querySelectorAll('button, input, select, a, main, form, section')].filter(e => !e.closest('[hidden]')
              && !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length || e.getAttribute('aria-labelledby'))).map(e => e.outerHTML)
            """);
        Assert.Empty(nameless);
        Assert.Empty(await page.EvaluateAsync<string[]>("[...document.querySelectorAll('[id]')].map(e => e.id).filter((id, i, all) => all.indexOf(id) !== i)"));
        Assert.Empty(await page.EvaluateAsync<string[]>("[...document.querySelectorAll('[aria-controls]')].map(e => e.getAttribute('aria-controls')).filter(id => !document.getElementById(id))"));
        // What is said is said as it comes, and one gets from the search to the first entry by the keyboard.
        await page.GetByRole(AriaRole.Search).WaitForAsync();
        Assert.Equal("polite", await page.Locator("#status").GetAttributeAsync("aria-live"));
        await page.FocusAsync("#q");
        for (var i = 0; i < 25 && !await page.EvaluateAsync<bool>("document.activeElement.classList.contains('line')"); i++) await page.Keyboard.PressAsync("Tab");
        await page.Keyboard.PressAsync("Space");
        Assert.Equal("true", await page.EvaluateAsync<string>("document.activeElement.getAttribute('aria-expanded')"));
        Assert.NotEqual("none", await page.EvaluateAsync<string>("getComputedStyle(document.activeElement).outlineStyle"));
        await page.ClickAsync("#signout");
        await page.Locator("#signin-form").WaitForAsync();
        Assert.Equal("", await page.Locator("#days").InnerHTMLAsync());
        visit.IsClean();
    }

    [Fact]
    public async Task The_page_allows_nothing_in_line_and_nothing_from_elsewhere()
    {
        var api = await TestApi.Shared;
        foreach (var (path, type) in new[] { ("/audit", "text/html"), ("/audit/audit.css", "text/css"), ("/audit/icon.svg", "image/svg+xml") }.Concat(AuditPage.Scripts.Select(name => ($"/audit/{name}", "text/javascript"))))
        {
            using var answer = await api.Client.GetAsync(path);
            var text = await answer.Content.ReadAsStringAsync();
            Assert.Equal((200, type), ((int)answer.StatusCode, answer.Content.Headers.ContentType!.MediaType));
            var policy = answer.Headers.GetValues("Content-Security-Policy").Single();
            Assert.StartsWith("default-src 'none'; script-src 'self'; style-src 'self';", policy, StringComparison.Ordinal);
            Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
            Assert.DoesNotMatch("(?i)<script(?![^>]*src=)|\\son[a-z]+=\"|style=\"|innerHTML|insertAdjacentHTML|document\\.write|eval\\(|localStorage|sessionStorage|document\\.cookie", text);
            using var known = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { { "If-None-Match", answer.Headers.ETag!.Tag } } };
            Assert.Equal(304, (int)(await api.Client.SendAsync(known)).StatusCode);
        }
        await api.Client.GetAsync("/audit/other.js").Refused(404, "route.unknown");
    }

    private static async Task Device(TestTenant owner, string name, string then)
    {
        using var made = await owner.Client.PostAsJsonAsync("/api/devices", new { name, type = "mobile" });
        made.EnsureSuccessStatusCode();
        (await owner.Client.PutAsJsonAsync(made.Headers.Location + "/name", new { name = then })).EnsureSuccessStatusCode();
    }

    /// <summary>A checkpoint covers what was written, without the minute that it takes otherwise.</summary>
    private static async Task Signed(TestTenant acme)
    {
        var (node, last) = (acme.Api.Services.GetRequiredService<Node>(), await acme.Api.Database.Scalar<long>("select max(seq_id) from events.mt_events"));
        await using var keeper = new ChainKeeper(
            node.Database.Daemon, new ChainKeys(node.Database.Daemon, node.Masters), new ChainOptions { Age = TimeSpan.Zero, Every = TimeSpan.FromMilliseconds(50), Issuer = "http://nubabel.test" });
        keeper.Start();
        await Burst.Until("a checkpoint covers it", TimeSpan.FromSeconds(20), async () =>
            await acme.Api.Database.Scalar<long>($"select coalesce(max(position), 0) from nubabel.audit_checkpoints where tenant_id = '{acme.Id}'") >= await acme.Api.Database.Scalar<long>(
                $"select max(seq_id) from events.mt_events where tenant_id = '{acme.Id}' and seq_id <= {last}"));
    }

    private static Task Has(ILocator at, string text) => Assertions.Expect(at).ToContainTextAsync(text, new() { Timeout = 15_000 });

    private static Task Count(ILocator of, int count) => Assertions.Expect(of).ToHaveCountAsync(count, new() { Timeout = 15_000 });
}
