using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Nubabel.Domain.Organizations;

/// <summary>What an organization pays for, as the product names it: a label such as <c>free</c> or <c>team-2026</c>.</summary>
[JsonConverter(typeof(ValueConverter<Plan>))]
public sealed record Plan : IValue<Plan>
{
    public const int Longest = 40;

    private Plan(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>organization.plan_invalid</c>.</exception>
    public static Plan Parse(string text) =>
        text.Length is >= 1 and <= Longest && text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-')
            ? new Plan(text)
            : throw new Refused(RefusalKind.Invalid, "organization.plan_invalid", "A plan is 1 to 40 of a–z, 0–9 and hyphen.");

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out Plan? plan) => Attempt.Parse(text, out plan);
    public override string ToString() => Value;
}
