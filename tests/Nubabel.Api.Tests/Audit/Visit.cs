using Microsoft.Playwright;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Audit;

/// <summary>A browser window of its own, and what went wrong in it.</summary>
internal sealed class Visit(IBrowserContext context, IPage page, Uri origin) : IAsyncDisposable
{
    private static readonly string? Pictures = Environment.GetEnvironmentVariable("NUBABEL_TEST_PICTURES");
    private readonly List<string> wrong = [];

    public IPage Page => page;

    public static async Task<Visit> Of(IBrowser browser, TestApi api, int width = 1180, int height = 900, bool dark = false)
    {
        var context = await browser.NewContextAsync(new()
        {
            BaseURL = api.Client.BaseAddress!.ToString(),
            ViewportSize = new() { Width = width, Height = height },
            ColorScheme = dark ? ColorScheme.Dark : ColorScheme.Light,
            Locale = "en-GB",
            TimezoneId = "Europe/Berlin",
            ReducedMotion = ReducedMotion.Reduce,
        });
        context.SetDefaultTimeout(20_000);
        var page = await context.NewPageAsync();
        var visit = new Visit(context, page, api.Client.BaseAddress!);
        page.Console += (_, message) => { if (message.Type is "error" or "warning") visit.Wrong(message.Text); };
        page.PageError += (_, error) => visit.Wrong(error);
        page.Dialog += async (_, dialog) => { visit.Wrong("dialog " + dialog.Message); await dialog.DismissAsync(); };
        page.Request += (_, request) => { if (!request.Url.StartsWith("blob:", StringComparison.Ordinal) && new Uri(request.Url).Authority != visit.Origin.Authority) visit.Wrong("request to " + request.Url); };
        return visit;
    }

    private Uri Origin => origin;

    public async Task SignIn(TestTenant who, bool open = true)
    {
        if (open) await page.GotoAsync("/audit");
        await Fill(who, TestTenant.Password);
        await page.Locator(".entry").First.WaitForAsync();
        await page.Locator("#chain").WaitForAsync();
    }

    public async Task Fill(TestTenant who, string password)
    {
        await page.FillAsync("#organization", who.Slug);
        await page.FillAsync("#email", who.Email);
        await page.FillAsync("#password", password);
        await page.PressAsync("#password", "Enter");
    }

    public async Task Picture(string name)
    {
        if (Pictures is not null) await page.ScreenshotAsync(new() { Path = Path.Combine(Pictures, name + ".png") });
    }

    /// <param name="expected">What a test has brought about: the browser says it of every answer that is an error.</param>
    public void IsClean(string? expected = null)
    {
        lock (wrong) Assert.Equal([], wrong.Where(w => expected is null || !w.Contains(expected, StringComparison.Ordinal)));
    }

    public async ValueTask DisposeAsync() => await context.CloseAsync();

    private void Wrong(string what)
    {
        lock (wrong) wrong.Add(what);
    }
}
