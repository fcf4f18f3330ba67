using System.Text.Json.Serialization;
using Nubabel.Store;

namespace Nubabel.Api.Retention;

/// <summary>Who may say how long a category is kept.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<PeriodSetter>))]
public enum PeriodSetter
{
    /// <summary>Nobody: it is part of a contract or of the configuration.</summary>
    [JsonStringEnumMemberName("nobody")]
    Nobody,

    /// <summary>Operators, for everybody.</summary>
    [JsonStringEnumMemberName("platform")]
    Platform,

    /// <summary>Each organization for itself, and operators for those that have said nothing.</summary>
    [JsonStringEnumMemberName("organization")]
    Organization,
}

/// <summary>What becomes of one thing that is removed with more than a statement.</summary>
public enum Removed
{
    /// <summary>It is gone, and was there before.</summary>
    Gone,

    /// <summary>A legal hold came in between.</summary>
    Held,

    /// <summary>Somebody else had removed it.</summary>
    Before,
}

/// <summary>What a run does with what is due.</summary>
/// <param name="Word">For people, and for the documents: <c>deletes rows</c>.</param>
public abstract record RetentionAct(string Word);

/// <summary>The rows are deleted. The statement returns the names of those that it has deleted.</summary>
public sealed record DeleteRows(Func<string, string[], Sql> Statement) : RetentionAct("deletes rows");

/// <summary>The names are those of data subjects, and their keys are destroyed: what was sealed under them is unreadable wherever it stands.</summary>
public sealed record DestroyKeys() : RetentionAct("destroys keys");

/// <summary>
/// Each is dealt with by itself, in what way ever: anonymised, erased. It must be safe to do again, and what must not happen under a hold it looks at itself, in
/// the commit that does it: it is called after the part's lock has gone.
/// </summary>
public sealed record EachByItself(string Word, Func<string, DueItem, CancellationToken, Task<Removed>> Remove) : RetentionAct(Word);

/// <summary>What is kept is deleted, or no longer answered, without a run, by who keeps it, after the period that stands here.</summary>
public sealed record ByItself(string How) : RetentionAct(How);

/// <summary>
/// A category of data that is kept for a time: declared once, here or in a product. <see cref="Due"/> is the one statement that dry runs, runs and the daily look
/// through all organizations share.
/// </summary>
/// <param name="Name">In paths, events and evidence; never renamed. Lower-case words with hyphens.</param>
/// <param name="Holds">What it holds, for people.</param>
/// <param name="Counted">From when on its age is counted, for people.</param>
/// <param name="Days">The period where nobody has said another.</param>
/// <param name="Shortest">The shortest that may be said, in days.</param>
/// <param name="Longest">The longest that may be said, in days.</param>
public sealed record RetentionCategory(string Name, string Holds, string Counted, int Days, int Shortest, int Longest, PeriodSetter Setter, RetentionAct Act)
{
    /// <summary>Finds what is due; null where the act is <see cref="ByItself"/>.</summary>
    public DueStatement? Due { get; init; }

    /// <summary>How many are dealt with at a time.</summary>
    public int Part { get; init; } = 500;

    /// <summary>The shape of a category's name.</summary>
    public static bool IsName(string text) => text.Length is > 0 and <= 60 && text.All(c => char.IsAsciiLetterLower(c) || c == '-') && text[0] != '-' && text[^1] != '-';
}

/// <summary>All categories of a server. A product adds its own: <c>services.AddSingleton(sp => RetentionCatalog.All(sp).With(…))</c>.</summary>
public sealed class RetentionCategories(IReadOnlyList<RetentionCategory> all)
{
    public IReadOnlyList<RetentionCategory> All { get; } = Checked(all);

    public RetentionCategory? Find(string name) => All.FirstOrDefault(c => c.Name == name);

    public RetentionCategories With(params RetentionCategory[] more) => new([.. All, .. more]);

    private static IReadOnlyList<RetentionCategory> Checked(IReadOnlyList<RetentionCategory> all)
    {
        foreach (var c in all)
        {
            if (!RetentionCategory.IsName(c.Name)) throw new ArgumentException($"{c.Name} is no name of a category.");
            if (c.Shortest < 1 || c.Days < c.Shortest || c.Days > c.Longest) throw new ArgumentException($"The periods of {c.Name} do not fit.");
            if (c.Due is null != c.Act is ByItself) throw new ArgumentException($"{c.Name} needs a statement, unless it goes by itself.");
        }
        return all.Select(c => c.Name).Distinct().Count() == all.Count ? all : throw new ArgumentException("Two categories have one name.");
    }
}
