namespace Nubabel.Store;

/// <summary>An event with every column of the log, as it is stored: sealed values stay sealed, JSON is its text.</summary>
public sealed record LoggedEvent
{
    /// <summary><c>seq_id</c></summary>
    public required long Position { get; init; }
    public required Guid Id { get; init; }
    public required string Tenant { get; init; }
    public required string Stream { get; init; }

    /// <summary><c>mt_streams.type</c>; null where a foreign writer left it out.</summary>
    public string? Kind { get; init; }
    public required long Version { get; init; }

    /// <summary>The alias.</summary>
    public required string Type { get; init; }

    /// <summary>UTC, whole microseconds.</summary>
    public required DateTime At { get; init; }
    public string? DotNetType { get; init; }
    public string? CorrelationId { get; init; }
    public string? CausationId { get; init; }

    /// <summary>JSON text.</summary>
    public string? Headers { get; init; }
    public string? Actor { get; init; }
    public bool Archived { get; init; }

    /// <summary><c>bdata</c>, which a foreign writer may use.</summary>
    public byte[]? Binary { get; init; }

    /// <summary>JSON text.</summary>
    public required string Data { get; init; }
}

/// <summary>A subject's key as it is stored, wrapped by the master key.</summary>
/// <param name="Wrapped">Null where the subject has been erased.</param>
public sealed record SubjectKeyRow(string Tenant, string Subject, byte[]? Wrapped, DateTime Created, DateTime? Destroyed);

/// <summary>What is taken of the log.</summary>
/// <param name="Tenant">Of one tenant alone; null for all.</param>
/// <param name="From">The first position.</param>
/// <param name="To">
/// The last position, or a time: then the longest prefix in which no event is younger. Never beyond the high-water mark, so that what is taken is a whole prefix.
/// </param>
public sealed record LogSelection(string? Tenant = null, long From = 1, Until To = default);

/// <summary>How far a transfer is.</summary>
/// <param name="Done">Events so far, those of an earlier run included.</param>
/// <param name="Total">Events in all, where that is known; of a log with gaps an upper bound.</param>
public sealed record TransferProgress(long Done, long? Total);
