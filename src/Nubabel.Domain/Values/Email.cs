using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json.Serialization;

namespace Nubabel.Domain;

/// <summary>
/// An e-mail address in plain text: it lives at the edge only and is sealed before it goes into a command. The local part keeps its case,
/// because a mail server may care; the domain is lower case and stays as typed otherwise (no punycode). Bounds of RFC 5321 §4.5.3.1, in
/// octets; quoted local parts and address literals are refused.
/// </summary>
[JsonConverter(typeof(ValueConverter<Email>))]
public sealed record Email : IValue<Email>
{
    public const int MinimumBytes = 3;
    public const int MaximumBytes = 254;
    private const int LocalBytes = 64;
    private const int LabelBytes = 63;

    private Email(string value) => Value = value;

    public string Value { get; }

    /// <summary>What look-ups compare, through a keyed hash: the address without regard to case.</summary>
    public string Normalised => Text.Fold(Value);

    /// <exception cref="Refused"><c>email.invalid</c>.</exception>
    public static Email Parse(string text)
    {
        var clean = Text.Clean(text);
        if (clean is null || Encoding.UTF8.GetByteCount(clean) is < MinimumBytes or > MaximumBytes) throw Invalid();
        var at = clean.IndexOf('@', StringComparison.Ordinal);
        if (at < 1 || !IsLocal(clean.AsSpan(0, at)) || !IsDomain(clean.AsSpan(at + 1))) throw Invalid();
        var domain = clean[(at + 1)..].ToLowerInvariant().Normalize();
        return HasWireForm(domain) ? new Email(string.Concat(clean.AsSpan(0, at), "@", domain)) : throw Invalid();
    }

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out Email? email) => Attempt.Parse(text, out email);

    /// <summary>Says nothing: a log or an exception that holds an address by accident must not show it.</summary>
    public override string ToString() => "(e-mail address)";

    private static bool IsLocal(ReadOnlySpan<char> local)
    {
        if (Encoding.UTF8.GetByteCount(local) > LocalBytes || local[0] == '.' || local[^1] == '.' || local.Contains("..", StringComparison.Ordinal)) return false;
        foreach (var c in local)
            if (char.IsWhiteSpace(c) || "\"(),:;<>[\\]@".Contains(c)) return false;
        return true;
    }

    private static bool IsDomain(ReadOnlySpan<char> domain)
    {
        foreach (var range in domain.Split('.'))
        {
            var label = domain[range];
            if (label.IsEmpty || Encoding.UTF8.GetByteCount(label) > LabelBytes || label[0] == '-' || label[^1] == '-') return false;
            // ASCII: letters, digits, hyphen. Beyond ASCII: what an internationalised name may hold is the registry's business; spaces,
            // punctuation and symbols are not in any.
            foreach (var rune in label.EnumerateRunes())
                if (rune.Value != '-' && !Rune.IsLetterOrDigit(rune) && !(rune.Value > 127 && IsMarkOrJoiner(rune))) return false;
        }
        return true;
    }

    /// <summary>Whether mail can be sent there: an internationalised domain has an ASCII form (RFC 5891), and within the bounds.</summary>
    private static bool HasWireForm(string domain)
    {
        if (System.Text.Ascii.IsValid(domain)) return true;
        try
        {
            return new System.Globalization.IdnMapping().GetAscii(domain).Length <= MaximumBytes;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private static bool IsMarkOrJoiner(Rune rune) =>
        rune.Value is 0x200C or 0x200D or 0xB7 or 0x30FB
        || Rune.GetUnicodeCategory(rune) is System.Globalization.UnicodeCategory.NonSpacingMark or System.Globalization.UnicodeCategory.SpacingCombiningMark;

    private static Refused Invalid() => new(RefusalKind.Invalid, "email.invalid", "This is not an e-mail address.");
}
