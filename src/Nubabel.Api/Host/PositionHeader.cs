using System.Globalization;

namespace Nubabel.Api.Host;

/// <summary>
/// Places in the log as clients see them: the shard's name, a hyphen, 16 lower-case hexadecimal digits. Opaque to clients, and yet ordered
/// as texts within a shard.
/// </summary>
public static class PositionHeader
{
    public const string Name = "Nubabel-Position";
    public const string MinimumName = "Nubabel-Min-Position";
    private const int Digits = 16;

    public static string Format(string shard, long position) => string.Create(CultureInfo.InvariantCulture, $"{shard}-{position:x16}");

    /// <summary>The position that a read is to wait for, null for none.</summary>
    public static long? Minimum(HttpRequest request, string shard)
    {
        ArgumentNullException.ThrowIfNull(request);
        var header = request.Headers[MinimumName];
        if (header.Count == 0) return null;
        return header is [{ } text] && TryParse(text, shard, out var position)
            ? position
            : throw new Problem("position.invalid", $"{MinimumName} is a position that this server has given out as {Name}.");
    }

    /// <summary>Only what <see cref="Format"/> writes is a position, and only of this shard.</summary>
    public static bool TryParse(string text, string shard, out long position)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(shard);
        position = 0;
        return text.Length == shard.Length + 1 + Digits && text.StartsWith(shard, StringComparison.Ordinal) && text[shard.Length] == '-'
            && !text.AsSpan(shard.Length + 1).ContainsAnyInRange('A', 'F')
            && long.TryParse(text.AsSpan(shard.Length + 1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out position) && position >= 0;
    }
}
