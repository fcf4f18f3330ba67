using System.Text.Json.Serialization;
using Nubabel.Domain.Consents;

namespace Nubabel.Domain.ProcessingRecords;

public sealed record ProcessingRecordCreated(ProcessingDescription Description) : Event<ProcessingRecord>;
public sealed record ProcessingRecordRevised(ProcessingDescription Description) : Event<ProcessingRecord>;
public sealed record ProcessingRecordArchived : Event<ProcessingRecord>;
public sealed record ProcessingRecordRestored : Event<ProcessingRecord>;

public sealed record CreateProcessingRecord(ProcessingDescription Description) : Command<ProcessingRecord>;

/// <summary>All of it anew: what is left out is gone.</summary>
public sealed record ReviseProcessingRecord(ProcessingDescription Description) : Command<ProcessingRecord>;
public sealed record ArchiveProcessingRecord : Command<ProcessingRecord>;
public sealed record RestoreProcessingRecord : Command<ProcessingRecord>;

/// <summary>In which role data are processed: for oneself, with others, or on behalf of others (Art. 4(7), 26, 4(8)).</summary>
[JsonConverter(typeof(ProcessingRoleConverter))]
public enum ProcessingRole { Controller, JointController, Processor }

internal sealed class ProcessingRoleConverter() : WordConverter<ProcessingRole>("processing_record.role_invalid");

/// <summary>Where a record is in its life.</summary>
[JsonConverter(typeof(ProcessingRecordStatusConverter))]
public enum ProcessingRecordStatus { None, Active, Archived }

internal sealed class ProcessingRecordStatusConverter() : WordConverter<ProcessingRecordStatus>("processing_record.status_invalid");

/// <summary>Data go to a country outside of the Union.</summary>
/// <param name="Safeguards">What protects them there: an adequacy decision, standard clauses (Art. 44 to 49).</param>
public sealed record ThirdCountryTransfer(Phrase Country, Phrase Recipient, Phrase Safeguards);

/// <summary>How long data are kept.</summary>
/// <param name="Category">The category of retention that sees to it, where there is one.</param>
public sealed record ProcessingRetention(Phrase Text, Phrase? Category = null);

/// <summary>What a record says (Art. 30(1) and (2)).</summary>
/// <param name="OnBehalfOf">The controllers, where it is done for others; others who decide with oneself, where it is done together.</param>
/// <param name="Contact">Who answers for it, and the data protection officer: sealed under the record's own key.</param>
/// <param name="LawfulBasis">Not asked for by Art. 30, and mostly asked next.</param>
public sealed record ProcessingDescription(
    Phrase Name, ProcessingRole Role, IReadOnlyList<Phrase> Purposes, IReadOnlyList<Phrase> PeopleCategories, IReadOnlyList<Phrase> DataCategories, IReadOnlyList<Phrase> Recipients,
    IReadOnlyList<ThirdCountryTransfer> Transfers, ProcessingRetention Retention, IReadOnlyList<Phrase> SecurityMeasures, IReadOnlyList<Phrase>? OnBehalfOf = null, Personal? Contact = null,
    LawfulBasis? LawfulBasis = null)
{
    /// <summary>Entries of a list.</summary>
    public const int Most = 100;

    public bool Equals(ProcessingDescription? other) => other is not null
        && (Name, Role, Retention, Contact, LawfulBasis) == (other.Name, other.Role, other.Retention, other.Contact, other.LawfulBasis)
        && Lists.Same(Purposes, other.Purposes) && Lists.Same(PeopleCategories, other.PeopleCategories) && Lists.Same(DataCategories, other.DataCategories) && Lists.Same(Recipients, other.Recipients)
        && Lists.Same(Transfers, other.Transfers) && Lists.Same(SecurityMeasures, other.SecurityMeasures) && Lists.Same(OnBehalfOf, other.OnBehalfOf);

    public override int GetHashCode() => HashCode.Combine(Name, Role, Purposes.Count);

    internal IEnumerable<int> Counts => [Purposes.Count, PeopleCategories.Count, DataCategories.Count, Recipients.Count, Transfers.Count, SecurityMeasures.Count, OnBehalfOf?.Count ?? 0];
}

/// <summary>An entry of the record of processing activities that article 30 asks for, an organization's or the platform's. What it once said stays known.</summary>
/// <param name="Revision">From 1 on.</param>
public sealed record ProcessingRecord(ProcessingRecordStatus Status, ProcessingDescription? Description, int Revision) : IAggregate<ProcessingRecord>
{
    public static string Kind => "processing-record";
    public static ProcessingRecord Initial { get; } = new(ProcessingRecordStatus.None, null, 0);

    public static ProcessingRecord Evolve(ProcessingRecord state, Event<ProcessingRecord> e) => e switch
    {
        ProcessingRecordCreated c => new ProcessingRecord(ProcessingRecordStatus.Active, c.Description, 1),
        ProcessingRecordRevised r => state with { Description = r.Description, Revision = state.Revision + 1 },
        ProcessingRecordArchived => state with { Status = ProcessingRecordStatus.Archived },
        ProcessingRecordRestored => state with { Status = ProcessingRecordStatus.Active },
        _ => state,
    };

    public static IReadOnlyList<Event<ProcessingRecord>> Decide(ProcessingRecord state, Command<ProcessingRecord> command, Context at) => command switch
    {
        CreateProcessingRecord c => state.Create(c),
        _ when state.Status == ProcessingRecordStatus.None => throw Missing(),
        ArchiveProcessingRecord => state.Status == ProcessingRecordStatus.Archived ? [] : [new ProcessingRecordArchived()],
        RestoreProcessingRecord => state.Status == ProcessingRecordStatus.Active ? [] : [new ProcessingRecordRestored()],
        _ when state.Status == ProcessingRecordStatus.Archived => throw new Refused(RefusalKind.Conflict, "processing_record.archived", "The record is archived: restore it first."),
        ReviseProcessingRecord c => state.Description == c.Description ? [] : [new ProcessingRecordRevised(Checked(c.Description))],
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    private Event<ProcessingRecord>[] Create(CreateProcessingRecord c) => Status switch
    {
        ProcessingRecordStatus.None => [new ProcessingRecordCreated(Checked(c.Description))],
        ProcessingRecordStatus.Active when Revision == 1 && Description == c.Description => [],
        _ => throw new Refused(RefusalKind.Conflict, "processing_record.exists", "Another record has this id."),
    };

    private static ProcessingDescription Checked(ProcessingDescription d)
    {
        if (d.Counts.Any(n => n > ProcessingDescription.Most)) throw Invalid("purposes", $"A list has at most {ProcessingDescription.Most} entries.");
        // Art. 30(1)(b), and (2)(b) for what is done on behalf of others.
        if (d.Purposes is []) throw Invalid("purposes", "At least one purpose, or kind of processing.");
        if (d.Role == ProcessingRole.Processor && d.OnBehalfOf is null or []) throw Invalid("onBehalfOf", "A processor says on whose behalf (Art. 30(2)(a)).");
        return d;
    }

    /// <summary>There is none with this id.</summary>
    public static Refused Missing() => new(RefusalKind.Missing, "processing_record.missing", "There is no such processing record.");

    private static Refused Invalid(string field, string message) => new(RefusalKind.Invalid, "processing_record.invalid", message, field);
}
