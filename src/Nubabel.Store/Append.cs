using Npgsql;

namespace Nubabel.Store;

/// <summary>What one stream gains in a commit.</summary>
/// <param name="Stream">The stream id.</param>
/// <param name="Kind">What <c>mt_streams.type</c> says.</param>
/// <param name="Expected">The version the decision was taken on: <see cref="None"/>, <see cref="Any"/> or exactly this one.</param>
/// <param name="Events">At least one.</param>
/// <param name="Take">Claims the stream must hold afterwards.</param>
/// <param name="Release">Claims it gives up.</param>
public sealed record StreamAppend(
    string Stream, string Kind, long Expected, IReadOnlyList<object> Events, IReadOnlyList<ClaimValue> Take, IReadOnlyList<ClaimValue> Release)
{
    /// <summary>The stream must not exist yet.</summary>
    public const long None = 0;

    /// <summary>Whatever the version is; the decision did not depend on it.</summary>
    public const long Any = -1;
}

/// <summary>A unique value within a tenant.</summary>
public readonly record struct ClaimValue(string Scope, string Value);

/// <summary>The envelope that all events of one commit share.</summary>
/// <param name="At">The time of the decision, UTC, whole microseconds.</param>
/// <param name="Headers">JSON object text; null for none.</param>
public sealed record Envelope(string Tenant, string Actor, string? CorrelationId, string? CausationId, string? Headers, DateTimeOffset At);

/// <summary>How an append ended.</summary>
public abstract record Appended
{
    private Appended() { }

    /// <summary>Committed.</summary>
    /// <param name="Events">All events written, in the order of the appends, as a reader of the log will see them.</param>
    public sealed record Done(IReadOnlyList<Recorded> Events) : Appended;

    /// <summary>A stream was not at the expected version, or is archived. Nothing was written.</summary>
    public sealed record Conflict(string Stream, long Actual, bool Archived) : Appended;

    /// <summary>Another stream holds a claim. Nothing was written.</summary>
    public sealed record Taken(ClaimValue Claim, string Holder) : Appended;

    /// <summary>The idempotency key has been used. Nothing was written.</summary>
    public sealed record Repeated : Appended;
}

/// <summary>
/// The connection was lost, timed out or was cancelled while a commit was under way: it may or may not have happened. The caller says so
/// ("unknown", not "failed") and may try again under the same idempotency key.
/// </summary>
public sealed class OutcomeUnknown(Exception inner) : Exception("The outcome of the commit is not known.", inner);

/// <summary>More commits wait than this node takes on; nothing was written. It passes as soon as the database has caught up.</summary>
public sealed class TooManyCommits() : Exception("Too many commits wait at this node.");

/// <summary>The append path's seam: one commit by itself, in one round trip. Within a node commits come through <see cref="Coalescer"/>, which gathers them.</summary>
internal static class Append
{
    /// <summary>Commits the appends together or not at all.</summary>
    /// <exception cref="OutcomeUnknown">The commit may or may not have happened.</exception>
    public static async Task<Appended> Commit(
        NpgsqlDataSource source, EventTypes types, Envelope envelope, IReadOnlyList<StreamAppend> appends, IdempotencyRecord? once, CancellationToken ct, Enqueued? enqueued = null)
    {
        var item = new AppendItem(types, envelope, appends, once, enqueued);
        return await AppendRun.Alone(source, item, null, straight: false, ct) ?? (await AppendRun.Diagnose(source, [item], ct))[0] ?? AppendRun.Crossed(item);
    }

    /// <summary>Sets the tenants that the statements behind it in the same batch may see: one, or several by commas.</summary>
    internal static NpgsqlBatchCommand Tenant(string tenants) => new("select set_config('app.current_organization_id', $1, true)")
    {
        Parameters = { new NpgsqlParameter<string> { TypedValue = tenants } },
    };
}
