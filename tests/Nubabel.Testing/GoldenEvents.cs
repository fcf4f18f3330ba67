using System.Globalization;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Testing;

/// <summary>A stored event as it was once written; every later build must read it.</summary>
/// <param name="Alias">The stored alias.</param>
/// <param name="Shape">The shape it has: the <c>n</c> of its file's name.</param>
/// <param name="Variant">What is special about it; null for the plain one.</param>
public sealed record GoldenEvent(string Alias, int Shape, string? Variant, string Json)
{
    public override string ToString() => $"{Alias}.v{Shape}{(Variant is null ? "" : "." + Variant)}";
}

/// <summary>The files <c>docs/contracts/events/&lt;alias&gt;.v&lt;shape&gt;[.&lt;variant&gt;].json</c>. They are only ever added to.</summary>
public static class GoldenEvents
{
    public static string Folder => Repository.At("docs", "contracts", "events");

    /// <summary>The catalogue as the engine sees it.</summary>
    public static EventTypes Types => Events.Types;

    public static IReadOnlyList<GoldenEvent> All { get; } = [.. Directory.EnumerateFiles(Folder, "*.json").Order(StringComparer.Ordinal).Select(Load)];

    private static GoldenEvent Load(string path)
    {
        var parts = Path.GetFileNameWithoutExtension(path).Split('.');
        return new GoldenEvent(parts[0], int.Parse(parts[1].AsSpan(1), CultureInfo.InvariantCulture), parts.ElementAtOrDefault(2), File.ReadAllText(path));
    }
}
