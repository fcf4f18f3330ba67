namespace Nubabel.Tidy.Tests;

/// <summary>
/// Just enough of C#'s lexical structure to tell code from comments and literals; the holes of interpolated strings are code. It is not
/// a parser: where it would have to be one, a rule is coarser instead.
/// </summary>
public static class CSharp
{
    /// <summary>The same text with comments and literals blanked out, line ends kept.</summary>
    public static string Bare(string text)
    {
        var bare = new char[text.Length];
        for (var i = 0; i < text.Length; i++) bare[i] = text[i] is '\n' or '\r' ? text[i] : ' ';
        var at = 0;
        Code(text, bare, ref at, closing: 0);
        return new string(bare);
    }

    // Copies code until the text ends, or until the hole does that this is called for.
    private static void Code(string text, char[] bare, ref int at, int closing)
    {
        var depth = 0;
        while (at < text.Length)
        {
            if (closing > 0 && depth == 0 && text[at] == '}') return;
            if (Starts(text, at, "//"))
            {
                while (at < text.Length && text[at] != '\n') at++;
            }
            else if (Starts(text, at, "/*"))
            {
                var end = text.IndexOf("*/", at + 2, StringComparison.Ordinal);
                at = end < 0 ? text.Length : end + 2;
            }
            else if (text[at] == '\'')
            {
                at += text[at + 1] == '\\' ? 2 : 1;
                at = text.IndexOf('\'', at + (text[at] == '\'' ? 1 : 0)) + 1;
            }
            else if (text[at] is '"' or '$' or '@' && OpensString(text, at))
            {
                Literal(text, bare, ref at);
            }
            else
            {
                if (text[at] is '{' or '(') depth++;
                if (text[at] is '}' or ')') depth--;
                bare[at] = text[at];
                at++;
            }
        }
    }

    private static bool OpensString(string text, int at)
    {
        while (at < text.Length && text[at] is '$' or '@') at++;
        return at < text.Length && text[at] == '"';
    }

    private static void Literal(string text, char[] bare, ref int at)
    {
        int dollars = 0, quotes = 0;
        var verbatim = false;
        for (; text[at] != '"'; at++)
        {
            if (text[at] == '$') dollars++;
            else verbatim = true;
        }
        while (at < text.Length && text[at] == '"') (quotes, at) = (quotes + 1, at + 1);
        if (quotes == 2) return;
        var raw = quotes >= 3;
        while (at < text.Length)
        {
            if (raw ? Starts(text, at, new string('"', quotes)) : text[at] == '"' && !(verbatim && Starts(text, at, "\"\"")))
            {
                at += raw ? quotes : 1;
                return;
            }
            if (!raw && verbatim && text[at] == '"') at += 2;
            else if (!raw && !verbatim && text[at] == '\\') at += 2;
            else if (dollars > 0 && text[at] == '{') Hole(text, bare, ref at, raw ? dollars : 1, raw);
            else at++;
        }
    }

    private static void Hole(string text, char[] bare, ref int at, int width, bool raw)
    {
        var braces = 0;
        while (at < text.Length && text[at] == '{') (braces, at) = (braces + 1, at + 1);
        // Doubled braces are text in an ordinary string, and too few are in a raw one.
        if (raw ? braces < width : braces % 2 == 0) return;
        Code(text, bare, ref at, width);
        at += width;
    }

    private static bool Starts(string text, int at, string what) => string.CompareOrdinal(text, at, what, 0, what.Length) == 0;
}
