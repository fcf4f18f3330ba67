using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Nubabel.Domain.Webhooks;

/// <summary>Who sends webhooks, as it stands in the address that they come to: <c>github</c>.</summary>
[JsonConverter(typeof(ValueConverter<ProviderName>))]
public sealed partial record ProviderName : IValue<ProviderName>
{
    public const int MaximumCharacters = 40;

    /// <summary>The rule, for documents and clients.</summary>
    public const string Pattern = "^[a-z0-9](-?[a-z0-9]){0,39}$";

    private ProviderName(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>webhook.provider_invalid</c>.</exception>
    public static ProviderName Parse(string text) => text.Length <= MaximumCharacters && Form().IsMatch(text)
        ? new ProviderName(text)
        : throw new Refused(RefusalKind.Invalid, "webhook.provider_invalid", $"A provider's name is 1 to {MaximumCharacters} of a-z, 0-9 and single hyphens inside.");

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out ProviderName? name) => Attempt.Parse(text, out name);
    public override string ToString() => Value;

    // \z, not $, which lets a line end pass.
    [GeneratedRegex(@"\A[a-z0-9](-?[a-z0-9]){0,39}\z", RegexOptions.CultureInvariant)]
    private static partial Regex Form();
}
