using System.Globalization;
using System.Net;

namespace Nubabel.Api.Host;

/// <summary>One configuration key: how it is called, what it may hold, what it is when nobody says.</summary>
/// <param name="Name">As in configuration files, <c>Limits:BodyBytes</c>; in the environment with <c>__</c> for the colon.</param>
/// <param name="Type">For people: <c>whole number 1–32</c>.</param>
/// <param name="Default">For people too: it may say where the value comes from.</param>
/// <param name="Secret">A secret is never printed.</param>
/// <param name="Description">One sentence.</param>
/// <param name="Fault">Why a text is not a value of this setting, as the end of "X must be …"; null if it is one.</param>
public sealed record Setting(string Name, string Type, string Default, bool Secret, string Description, Func<string, string?> Fault)
{
    public bool IsList { get; private init; }

    /// <summary>Another key that the host itself fills from the same source; the name wins.</summary>
    public string? Alias { get; init; }

    /// <summary>As it is called in the environment.</summary>
    public string Variable => Name.Replace(":", "__", StringComparison.Ordinal);

    public static Setting Text(string name, string @default, string description, bool secret = false) =>
        new(name, "text", @default, secret, description, _ => null);

    public static Setting Number(string name, int least, int most, int @default, string description) =>
        new(name, $"whole number {least}–{most}", @default.ToString(CultureInfo.InvariantCulture), false, description,
            text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n >= least && n <= most
                ? null : $"a whole number from {least} to {most}");

    public static Setting Rate(string name, int @default, string description) => Number(name, 0, 1_000_000, @default, description);

    public static Setting Choice(string name, string[] choices, string @default, string description) =>
        new(name, string.Join(" | ", choices), @default, false, description,
            text => choices.Contains(text, StringComparer.Ordinal) ? null : "one of " + string.Join(", ", choices));

    public static Setting Origins(string name, string description) =>
        new(name, "list of origins", "(none)", false, description,
            text => Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" && uri.GetLeftPart(UriPartial.Authority).Equals(text, StringComparison.OrdinalIgnoreCase)
                ? null : "origins like https://app.example.com, without a path")
        { IsList = true };

    public static Setting Networks(string name, string description) =>
        new(name, "list of networks", "(none)", false, description, text => IPNetwork.TryParse(text, out _) ? null : "networks like 10.0.0.0/8") { IsList = true };

    public static Setting Key(string name, string @default, string description) =>
        new(name, "base64 of 32 bytes", @default, true, description,
            text => Convert.TryFromBase64String(text, new byte[32], out var n) && n == 32 ? null : "32 bytes in base64");

    public static Setting Connection(string name, string description) =>
        new(name, "connection string or postgres:// URL", "(none)", true, description,
            text => ConnectionText.TryParse(text, out _) ? null : "a connection string of Npgsql or a postgres:// URL");

    /// <summary>A key for each of many: its name ends in what stands between angle brackets.</summary>
    public static Setting Family(string name, string description, bool secret = false, string[]? choices = null) =>
        new(name, choices is null ? "text" : string.Join(" | ", choices), "(none)", secret, description,
            text => choices is null || choices.Contains(text, StringComparer.Ordinal) ? null : "one of " + string.Join(", ", choices))
        { IsList = true };

    public static Setting Matching(string name, string type, string @default, string description, Func<string, bool> fits) =>
        new(name, type, @default, false, description, text => fits(text) ? null : type);

    /// <summary>The values in a configuration: one, or of a list those under <c>:0</c>, <c>:1</c> … or between commas.</summary>
    internal IReadOnlyList<string> In(IConfiguration configuration)
    {
        if (Name.IndexOf('<', StringComparison.Ordinal) is > 0 and var end)
            return [.. configuration.AsEnumerable().Where(p => p.Key.StartsWith(Name[..end], StringComparison.OrdinalIgnoreCase) && !string.IsNullOrEmpty(p.Value)).Select(p => p.Value!)];
        var text = configuration[Name] ?? (Alias is null ? null : configuration[Alias]);
        if (!IsList) return string.IsNullOrEmpty(text) ? [] : [text];
        var children = configuration.GetSection(Name).GetChildren().Select(c => c.Value ?? "");
        return [.. (text ?? "").Split(',').Concat(children).Select(v => v.Trim()).Where(v => v.Length > 0)];
    }
}
