namespace Nubabel.Domain.Reads;

/// <summary>The actor was shown personal data of others.</summary>
/// <param name="Operation">Method and route, <c>GET /api/members/{userId}</c>; never the path as it was written, and no values.</param>
/// <param name="Subjects">Whose: data subjects in the order of their names, <see cref="PersonalData.MostSubjects"/> at most.</param>
/// <param name="More">How many beyond those.</param>
/// <param name="Purpose">What for, where the actor said so.</param>
public sealed record PersonalDataRead(string Operation, IReadOnlyList<string> Subjects, long More = 0, ReadPurpose? Purpose = null) : Event<PersonalData>
{
    // By what it holds: a list alone would be equal to itself only.
    public bool Equals(PersonalDataRead? other) => other is not null && Subjects.SequenceEqual(other.Subjects) && (Operation, More, Purpose) == (other.Operation, other.More, other.Purpose);
    public override int GetHashCode() => HashCode.Combine(Operation, Subjects.Count, More);
}

/// <summary>The actor took the audit trail away, with whatever personal data is in it.</summary>
/// <param name="Operation">Method and route, which says in which form.</param>
/// <param name="UpTo">The position up to which.</param>
/// <param name="Filter">What it was filtered by, <c>action=device.renamed</c>; of a text that was searched for only that there was one, <c>q</c>.</param>
/// <param name="Purpose">What for, where the actor said so.</param>
public sealed record PersonalDataExported(string Operation, long UpTo, IReadOnlyList<string> Filter, ReadPurpose? Purpose = null) : Event<PersonalData>
{
    public bool Equals(PersonalDataExported? other) => other is not null && Filter.SequenceEqual(other.Filter) && (Operation, UpTo, Purpose) == (other.Operation, other.UpTo, other.Purpose);
    public override int GetHashCode() => HashCode.Combine(Operation, UpTo);
}

public sealed record RecordRead(string Operation, IReadOnlyList<string> Subjects, long More = 0, ReadPurpose? Purpose = null) : Command<PersonalData>, IRecordsEachTime
{
    public bool Equals(RecordRead? other) => other is not null && Subjects.SequenceEqual(other.Subjects) && (Operation, More, Purpose) == (other.Operation, other.More, other.Purpose);
    public override int GetHashCode() => HashCode.Combine(Operation, Subjects.Count, More);
}

public sealed record RecordExport(string Operation, long UpTo, IReadOnlyList<string> Filter, ReadPurpose? Purpose = null) : Command<PersonalData>, IRecordsEachTime
{
    public bool Equals(RecordExport? other) => other is not null && Filter.SequenceEqual(other.Filter) && (Operation, UpTo, Purpose) == (other.Operation, other.UpTo, other.Purpose);
    public override int GetHashCode() => HashCode.Combine(Operation, UpTo);
}

/// <summary>
/// What personal data an actor has looked at. A few streams for each actor, named by the actor's subject (<c>personal-data-user-0198…</c>, <c>personal-data-user-0198….3</c>), so
/// that what is read at the same time need not be recorded one after the other. They are only ever written: no decision depends on what stands in them, so there is no state, and
/// nobody loads them.
/// </summary>
public sealed record PersonalData : IAggregate<PersonalData>
{
    /// <summary>So many subjects are named: as many as a page has items.</summary>
    public const int MostSubjects = 200;

    public static string Kind => "personal-data";

    /// <summary>What one of an actor's streams is named by.</summary>
    /// <param name="number">From 0 on.</param>
    public static string KeyOf(string subject, int number) => number == 0 ? subject : string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{subject}.{number}");

    public static PersonalData Initial { get; } = new();

    public static PersonalData Evolve(PersonalData state, Event<PersonalData> e) => e switch
    {
        PersonalDataRead => state,
        PersonalDataExported => state,
        _ => state,
    };

    public static IReadOnlyList<Event<PersonalData>> Decide(PersonalData state, Command<PersonalData> command, Context at) => command switch
    {
        RecordRead c => [new PersonalDataRead(c.Operation, c.Subjects, c.More, c.Purpose)],
        RecordExport c => [new PersonalDataExported(c.Operation, c.UpTo, c.Filter, c.Purpose)],
        _ => throw new NotSupportedException(command.GetType().Name),
    };
}
