using System.Text.Json.Serialization;
using Nubabel.Domain.Users;

namespace Nubabel.Domain.DataExports;

/// <summary>Everything held was written down.</summary>
/// <param name="Generation">Which of the stored files it is: a job that ran again has written more than one.</param>
/// <param name="Sha256">Of the file, in lower-case hexadecimal digits.</param>
/// <param name="Position">Up to where in the log.</param>
/// <param name="ExpiresAt">The file is deleted then.</param>
public sealed record DataExportMade(ExportScope Scope, Id<User> Owner, Guid Generation, long Bytes, string Sha256, long Position, DateTimeOffset ExpiresAt) : Event<DataExport>;

/// <summary>Everything held was read at once, and no file was made.</summary>
public sealed record DataExportRead(ExportScope Scope, Id<User> Owner, long Position) : Event<DataExport>;
public sealed record DataExportDownloaded : Event<DataExport>;

/// <summary>Its owner did not want it to be kept until it expires.</summary>
public sealed record DataExportDeleted : Event<DataExport>;

public sealed record MakeDataExport(ExportScope Scope, Id<User> Owner, Guid Generation, long Bytes, string Sha256, long Position, DateTimeOffset ExpiresAt) : Command<DataExport>;

/// <summary>The owner is the actor.</summary>
public sealed record ReadDataExport(ExportScope Scope, long Position) : Command<DataExport>;
public sealed record DownloadDataExport : Command<DataExport>, IRecordsEachTime;
public sealed record DeleteDataExport : Command<DataExport>;

/// <summary>Whose data it is.</summary>
[JsonConverter(typeof(ExportScopeConverter))]
public enum ExportScope { User, Organization }

internal sealed class ExportScopeConverter() : WordConverter<ExportScope>("data_export.scope_invalid");

/// <summary>What can still be had of it.</summary>
[JsonConverter(typeof(ExportStatusConverter))]
public enum ExportStatus { None, Ready, Read, Deleted }

internal sealed class ExportStatusConverter() : WordConverter<ExportStatus>("data_export.status_invalid");

/// <summary>A copy of all that is held on a user, or of a whole organization. To everybody but its owner it does not exist.</summary>
public sealed record DataExport(ExportStatus Status, ExportScope Scope, Id<User> Owner, Guid Generation, long Bytes, string Sha256, DateTimeOffset ExpiresAt) : IAggregate<DataExport>
{
    public static string Kind => "data-export";
    public static DataExport Initial { get; } = new(ExportStatus.None, default, default, default, 0, "", default);

    public static DataExport Evolve(DataExport state, Event<DataExport> e) => e switch
    {
        DataExportMade m => new DataExport(ExportStatus.Ready, m.Scope, m.Owner, m.Generation, m.Bytes, m.Sha256, m.ExpiresAt),
        DataExportRead r => state with { Status = ExportStatus.Read, Scope = r.Scope, Owner = r.Owner },
        DataExportDownloaded => state,
        DataExportDeleted => state with { Status = ExportStatus.Deleted },
        _ => state,
    };

    public static IReadOnlyList<Event<DataExport>> Decide(DataExport state, Command<DataExport> command, Context at) => command switch
    {
        MakeDataExport c => state.Status == ExportStatus.None ? [new DataExportMade(c.Scope, c.Owner, c.Generation, c.Bytes, c.Sha256, c.Position, c.ExpiresAt)] : [],
        ReadDataExport c => state.Read(c, at.Actor),
        _ when !at.Actor.IsUser(out var user) || user != state.Owner => throw Missing(),
        DownloadDataExport => state.IsReady(at.Now) ? [new DataExportDownloaded()] : throw Missing(),
        DeleteDataExport => state.Status == ExportStatus.Ready ? [new DataExportDeleted()] : [],
        _ => throw new NotSupportedException(command.GetType().Name),
    };

    /// <summary>Whether its file is there.</summary>
    public bool IsReady(DateTimeOffset now) => Status == ExportStatus.Ready && now < ExpiresAt;

    private Event<DataExport>[] Read(ReadDataExport c, Actor actor)
    {
        if (!actor.IsUser(out var user)) throw new Refused(RefusalKind.Denied, "data_export.owner_required", "A person asks for what is held.");
        return Status == ExportStatus.None ? [new DataExportRead(c.Scope, user, c.Position)] : [];
    }

    /// <summary>One answer for what never was and what is somebody else's.</summary>
    public static Refused Missing() => new(RefusalKind.Missing, "data_export.missing", "There is no such data export.");
}
