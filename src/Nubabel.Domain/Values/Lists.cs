namespace Nubabel.Domain;

/// <summary>Lists compared by what they hold: a record alone takes two lists for equal only when they are one.</summary>
internal static class Lists
{
    public static bool Same<T>(IReadOnlyList<T>? one, IReadOnlyList<T>? other) => one is null || other is null ? one is null && other is null : one.SequenceEqual(other);
}
