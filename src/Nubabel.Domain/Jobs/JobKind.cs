using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace Nubabel.Domain.Jobs;

/// <summary>What a job does: lower-case letters, digits and hyphens. Kinds are declared in code; nobody makes one up.</summary>
[JsonConverter(typeof(ValueConverter<JobKind>))]
public sealed partial record JobKind : IValue<JobKind>
{
    private JobKind(string value) => Value = value;

    public string Value { get; }

    /// <exception cref="Refused"><c>job.kind_invalid</c>.</exception>
    public static JobKind Parse(string text) =>
        Form().IsMatch(text) ? new JobKind(text) : throw new Refused(RefusalKind.Invalid, "job.kind_invalid", "A kind is 1 to 50 of a–z, 0–9 and hyphen, and begins with a letter.");

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out JobKind? kind) => Attempt.Parse(text, out kind);
    public override string ToString() => Value;

    [GeneratedRegex(@"\A[a-z][a-z0-9-]{0,49}\z")]
    private static partial Regex Form();
}
