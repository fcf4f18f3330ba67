using Xunit;

namespace Nubabel.Testing;

/// <summary>
/// A test in a real browser. <c>./dev test</c> finds or installs a Chromium and names it in <c>NUBABEL_TEST_CHROMIUM</c>; where neither works the test is skipped, and the sum says so.
/// </summary>
public sealed class BrowserFactAttribute : FactAttribute
{
    public BrowserFactAttribute()
    {
        if (Browser is null) Skip = "There is no Chromium, and none could be installed.";
    }

    /// <summary>Its executable; null where there is none.</summary>
    public static string? Browser =>
        Environment.GetEnvironmentVariable("NUBABEL_TEST_CHROMIUM") is { Length: > 0 } named ? named : File.Exists("/usr/bin/chromium") ? "/usr/bin/chromium" : null;
}
