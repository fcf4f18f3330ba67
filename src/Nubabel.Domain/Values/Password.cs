using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Nubabel.Domain;

/// <summary>
/// A new password in plain text. It lives at the edge until it is hashed: no command or event holds one, it is never written as JSON, and
/// it prints as nothing. Sign-in takes any string instead, so that a password which the rules would refuse today is merely wrong.
/// Measured in code points, never trimmed; NFC, so that a keyboard that composes accents differently types the same password (NIST SP 800-63B §3.1.1).
/// </summary>
[JsonConverter(typeof(PasswordConverter))]
public sealed record Password : IValue<Password>
{
    public const int MinimumCharacters = 12;
    public const int MaximumCharacters = 128;

    // Each with digits and signs around it, repeated, and with the usual substitutions: the head of every list of leaked passwords.
    private static readonly string[] Words =
        ["password", "passwort", "qwerty", "qwertz", "azerty", "letmein", "welcome", "iloveyou", "admin", "administrator", "changeme", "trustno", "nubabel", "football", "baseball", "princess", "sunshine", "superman", "dragon", "monkey"];

    // Rows of keyboards and the alphabets, forwards; a password that walks along one of them is a sequence.
    private static readonly string[] Rows =
        ["01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm", "1q2w3e4r5t6y7u8i9o0p", "1qaz2wsx3edc4rfv5tgb6yhn7ujm"];

    private Password(string value) => Value = value;

    /// <summary>The plain text, for the hash function only.</summary>
    public string Value { get; }

    /// <summary>The form in which a password is hashed and compared; sign-in uses it too, on a text that it does not otherwise judge.</summary>
    /// <remarks>What has no normal form (half a surrogate pair, U+FFFE) stays as it is; as a new password it is refused.</remarks>
    public static string Normalise(string text)
    {
        try
        {
            return text.Normalize();
        }
        catch (ArgumentException)
        {
            return text;
        }
    }

    /// <exception cref="Refused"><c>password.too_short</c>, <c>password.too_long</c>, <c>password.too_common</c> or <c>password.invalid</c>.</exception>
    public static Password Parse(string text)
    {
        // Refused by its UTF-16 length before it is looked at: no code point takes more than two.
        if (text.Length > 2 * MaximumCharacters) throw TooLong();
        var plain = Normalise(text);
        if (plain.EnumerateRunes().Any(rune => rune == Rune.ReplacementChar || Text.IsNoCharacter(rune)))
            throw new Refused(RefusalKind.Invalid, "password.invalid", "A password is made of Unicode characters.");
        var length = plain.EnumerateRunes().Count();
        if (length < MinimumCharacters) throw new Refused(RefusalKind.Invalid, "password.too_short", $"A password has at least {MinimumCharacters} characters.");
        if (length > MaximumCharacters) throw TooLong();
        if (IsCommon(plain)) throw new Refused(RefusalKind.Invalid, "password.too_common", "This password is among the first that are tried.");
        return new Password(plain);
    }

    public static bool TryParse([NotNullWhen(true)] string? text, [NotNullWhen(true)] out Password? password) => Attempt.Parse(text, out password);

    /// <summary>
    /// Refuses what an attacker knows of the account: its address, the part before the @, the organization's name or slug, with decoration or twice like any
    /// common word.
    /// </summary>
    /// <exception cref="Refused"><c>password.too_obvious</c>.</exception>
    public Password Unlike(params IEnumerable<string?> known)
    {
        var form = Form(Value);
        foreach (var word in known)
        {
            if (word is null || Form(word) is not { Length: > 0 } obvious) continue;
            if (form == obvious || form == obvious + obvious || Value.Equals(word, StringComparison.OrdinalIgnoreCase))
                throw new Refused(RefusalKind.Invalid, "password.too_obvious", "The password is the address of the account or the name of the organization.", "password");
        }
        return this;

        static string Form(string text) => string.Concat(GuessedPasswords.Letters(GuessedPasswords.Bare(Normalise(text).ToLowerInvariant())).Where(char.IsLetterOrDigit));
    }

    /// <summary>What is known of an account by its address: the address, and the part before the @.</summary>
    public static IEnumerable<string> KnownOf(Email email) => [email.Value, email.Value[..email.Value.LastIndexOf('@')]];

    public override string ToString() => "(password)";

    private static bool IsCommon(string plain)
    {
        var text = plain.ToLowerInvariant();
        return Repeats(text) || Walks(text) || IsOneWord(text) || IsOneWord(GuessedPasswords.Letters(GuessedPasswords.Bare(text))) || GuessedPasswords.Contains(text);
    }

    /// <summary>One to four characters, over and over: <c>aaaaaaaaaaaa</c>, <c>abcabcabcabc</c>.</summary>
    private static bool Repeats(string text)
    {
        for (var period = 1; period <= 4; period++)
        {
            var i = period;
            while (i < text.Length && text[i] == text[i - period]) i++;
            if (i == text.Length) return true;
        }
        return false;
    }

    private static bool Walks(string text)
    {
        var backwards = new string([.. text.Reverse()]);
        return Rows.Any(row => row.Contains(text, StringComparison.Ordinal) || row.Contains(backwards, StringComparison.Ordinal));
    }

    /// <summary>Nothing but one common word, repeated or not, and digits and signs.</summary>
    private static bool IsOneWord(string text)
    {
        var letters = string.Concat(text.Where(char.IsLetter));
        return Words.Any(word => letters.Length > 0 && letters.Length % word.Length == 0 && letters.Replace(word, "", StringComparison.Ordinal).Length == 0);
    }

    private static Refused TooLong() => new(RefusalKind.Invalid, "password.too_long", $"A password has at most {MaximumCharacters} characters.");
}

internal sealed class PasswordConverter : JsonConverter<Password>
{
    private static readonly ValueConverter<Password> Reader = new();

    public override Password Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => Reader.Read(ref reader, typeToConvert, options);

    public override void Write(Utf8JsonWriter writer, Password value, JsonSerializerOptions options) =>
        throw new NotSupportedException("A password is never written.");
}
