using System.Collections.Frozen;

namespace Nubabel.Domain;

/// <summary>
/// The passwords that are tried first. What decorates a word makes it no other: cases, digits and signs before and behind it, the usual signs for letters, and the
/// word twice. The list is a resource of this assembly, whose head names its source.
/// </summary>
internal static class GuessedPasswords
{
    /// <summary>Shorter words say nothing: three letters and nine other characters are no common password.</summary>
    private const int LeastLetters = 4;

    private static readonly Lazy<FrozenSet<string>> List = new(Read);

    /// <param name="text">In lower case.</param>
    public static bool Contains(string text)
    {
        var bare = Bare(text);
        return Known(text) || Known(bare) || Known(Letters(bare));

        bool Known(string form) => IsListed(form) || (form.Length % 2 == 0 && form.AsSpan(0, form.Length / 2).SequenceEqual(form.AsSpan(form.Length / 2)) && IsListed(form[..(form.Length / 2)]));
    }

    /// <summary>Without what is no letter before the first and behind the last one.</summary>
    public static string Bare(string text)
    {
        var (start, end) = (0, text.Length);
        while (start < end && !char.IsLetter(text[start])) start++;
        while (end > start && !char.IsLetter(text[end - 1])) end--;
        return text[start..end];
    }

    /// <summary>With letters for the digits and signs that usually stand for them.</summary>
    public static string Letters(string text) =>
        text.Replace('@', 'a').Replace('4', 'a').Replace('3', 'e').Replace('1', 'i').Replace('!', 'i').Replace('0', 'o').Replace('$', 's').Replace('5', 's').Replace('7', 't');

    private static bool IsListed(string form) => form.Length >= LeastLetters && List.Value.Contains(form);

    private static FrozenSet<string> Read()
    {
        using var stream = typeof(GuessedPasswords).Assembly.GetManifestResourceStream("GuessedPasswords.txt")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => line[0] != '#').ToFrozenSet(StringComparer.Ordinal);
    }
}
