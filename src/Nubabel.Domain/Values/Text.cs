using System.Globalization;
using System.Text;

namespace Nubabel.Domain;

/// <summary>What all texts that people type have in common: trimmed, in Unicode normal form C, measured in characters as people see them.</summary>
public static class Text
{
    /// <summary>
    /// Whether texts are really normalised here. Where globalization is invariant (no ICU) the framework returns them unchanged without a word, and two
    /// spellings of one name would be two names; such a process must not serve.
    /// </summary>
    public static bool IsNormalising => "e\u0301".Normalize() == "\u00e9";

    /// <summary>Code points that are set aside for ever and are no characters (The Unicode Standard, §23.7).</summary>
    public static bool IsNoCharacter(Rune rune) => (rune.Value & 0xFFFE) == 0xFFFE || rune.Value is >= 0xFDD0 and <= 0xFDEF;

    /// <summary>The trimmed NFC form; null where it holds what no name may hold: control characters, line separators, lone surrogates.</summary>
    public static string? Clean(string text)
    {
        var trimmed = text.Trim();
        foreach (var rune in trimmed.EnumerateRunes())
        {
            // A lone surrogate enumerates as U+FFFD; jsonb refuses it, so it must not get further than here. U+FFFD itself says that
            // somebody decoded the text wrongly before it came to us.
            if (rune == Rune.ReplacementChar) return null;
            // U+FFFE and its kin are no characters, and normalisation refuses them.
            if (IsNoCharacter(rune)) return null;
            if (Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator) return null;
        }
        return trimmed.Normalize();
    }

    /// <summary>The cleaned text when it shows something, has at most so many user-perceived characters and UTF-8 bytes; otherwise refused.</summary>
    public static string Line(string text, int characters, int bytes, string code, string what)
    {
        var clean = Clean(text);
        if (clean is null) throw new Refused(RefusalKind.Invalid, code, $"{what} holds no control characters.");
        if (!Shows(clean)) throw new Refused(RefusalKind.Invalid, code, $"{what} is not empty.");
        // Bytes first: they are counted without looking at the text closely, so a huge text costs little.
        if (Encoding.UTF8.GetByteCount(clean) > bytes || new StringInfo(clean).LengthInTextElements > characters)
            throw new Refused(RefusalKind.Invalid, code, $"{what} has at most {characters} characters and {bytes} bytes.");
        return clean;
    }

    /// <summary>The same of a text of several lines: each is cleaned by itself, tabs are blanks, and lines end with a line feed.</summary>
    public static string Lines(string text, int characters, int bytes, string code, string what)
    {
        // Bytes first, and of the text as it came: what is far too long is not looked at closely.
        if (text.Length > bytes) throw TooLong();
        var lines = text.ReplaceLineEndings("\n").Replace('\t', ' ').Split('\n').Select(line => Clean(line) ?? throw new Refused(RefusalKind.Invalid, code, $"{what} holds no control characters.")).ToArray();
        var clean = string.Join('\n', lines).Trim('\n');
        if (!Shows(clean)) throw new Refused(RefusalKind.Invalid, code, $"{what} is not empty.");
        if (Encoding.UTF8.GetByteCount(clean) > bytes || new StringInfo(clean).LengthInTextElements > characters) throw TooLong();
        return clean;

        Refused TooLong() => new(RefusalKind.Invalid, code, $"{what} has at most {characters} characters and {bytes} bytes.");
    }

    /// <summary>
    /// The form in which two texts are equal when only their case differs: simple case folding, the same on every machine. First up, so
    /// that σ and ς meet in Σ, then down, so that ẞ and ß, K (Kelvin) and k meet; then NFC again, because case mapping can undo it.
    /// No locale is asked, so the Turkish pairs stay apart (I is i's capital, İ and ı are letters of their own), and no letter changes
    /// its length, so ß is not ss.
    /// </summary>
    public static string Fold(string text) => text.ToUpperInvariant().ToLowerInvariant().Normalize();

    // A name of joiners and blanks alone would look like no name at all.
    private static bool Shows(string text)
    {
        foreach (var rune in text.EnumerateRunes())
            if (!Rune.IsWhiteSpace(rune) && Rune.GetUnicodeCategory(rune) is not UnicodeCategory.Format)
                return true;
        return false;
    }
}
