using System.Text.Json;

namespace Nubabel.Store;

/// <summary>Who and what stands behind a unit of work; it goes on every event's envelope.</summary>
/// <param name="Actor"><c>user:…</c>, <c>key:…</c>, <c>operator:…</c>, <c>system:…</c>.</param>
/// <param name="Subject">Whose key seals <paramref name="Ip"/> and <paramref name="UserAgent"/>: the actor's stream id; null seals and keeps neither.</param>
public sealed record Origin(
    string Actor, string? Subject = null, string? CorrelationId = null, string? CausationId = null, string? TraceParent = null, string? Ip = null, string? UserAgent = null, string? Reason = null);

/// <summary>
/// The unit of work of one tenant: reads its streams and appends to them. Made for a tenant and an origin, so that nothing that uses it
/// can name another. Not for concurrent use.
/// </summary>
/// <param name="committed">Told after each commit; wakes this node's readers.</param>
/// <param name="time">The node's clock.</param>
public sealed partial class Journal(Database database, EventTypes types, SubjectKeys keys, string tenant, Origin origin, Action committed, TimeProvider time)
{
    /// <summary>The tenant's id; <c>*DEFAULT*</c> for the platform.</summary>
    public string Tenant => tenant;

    public Origin Origin => origin;
    public Database Database => database;

    /// <summary>Written with the next commit, in its transaction.</summary>
    public IdempotencyRecord? Once { get; set; }

    /// <summary>Set when the request is a repeated one: commands are not decided again but answered from these versions.</summary>
    public IdempotencyRecord? Replay { get; set; }

    /// <summary>Now, in whole microseconds as PostgreSQL keeps it, so that what is decided on and what is read back are equal.</summary>
    public DateTimeOffset Now()
    {
        var now = time.GetUtcNow();
        return new DateTimeOffset(now.Ticks - now.Ticks % TimeSpan.TicksPerMicrosecond, TimeSpan.Zero);
    }

    /// <summary>One event of a stream; null where there is none, or it is another tenant's.</summary>
    /// <exception cref="UnreadableEvent">The stored text does not fit its type.</exception>
    public async Task<Recorded?> ReadOne(string stream, long version, CancellationToken ct) =>
        (await ReadStream.Read(database, types, tenant, [stream], _ => new Until(Version: version), ct, _ => version))[stream] is [var e] ? e : null;

    /// <summary>The stream that holds a claim, or null.</summary>
    public Task<string?> Holder(string scope, string value, CancellationToken ct) => Again.Ask(async () =>
    {
        await using var batch = database.Api.CreateBatch();
        batch.BatchCommands.Add(Store.Append.Tenant(tenant));
        batch.BatchCommands.Add(Sql.Of($"select stream_id from nubabel.claims where tenant_id = {tenant} and scope = {scope} and value = {value}").ToBatchCommand());
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        return await reader.ReadAsync(ct) ? reader.GetString(0) : null;
    });

    /// <summary>The values of a scope that are claimed now.</summary>
    public Task<IReadOnlySet<string>> Claimed(string scope, CancellationToken ct) => Again.Ask<IReadOnlySet<string>>(async () =>
    {
        await using var batch = database.Api.CreateBatch();
        batch.BatchCommands.Add(Store.Append.Tenant(tenant));
        batch.BatchCommands.Add(Sql.Of($"select value from nubabel.claims where tenant_id = {tenant} and scope = {scope}").ToBatchCommand());
        await using var reader = await batch.ExecuteReaderAsync(ct);
        await reader.NextResultAsync(ct);
        var values = new HashSet<string>(StringComparer.Ordinal);
        while (await reader.ReadAsync(ct)) values.Add(reader.GetString(0));
        return values;
    });

    /// <summary>Commits the appends together or not at all, under the tenant and origin of this journal.</summary>
    /// <exception cref="OutcomeUnknown">The commit may or may not have happened.</exception>
    /// <exception cref="MessageLost">The handler's message is another worker's now, or gone; nothing was written.</exception>
    /// <exception cref="TooManyCommits">This node has too many under way; nothing was written.</exception>
    public async Task<Appended> Append(DateTimeOffset at, IReadOnlyList<StreamAppend> appends, CancellationToken ct)
    {
        var envelope = new Envelope(tenant, origin.Actor, origin.CorrelationId, origin.CausationId, await Headers(ct), at);
        var result = Handler is { } handler
            ? await handler.Commit(new AppendItem(types, envelope, appends, Once), pending, ct)
            : await database.Commits.Commit(new AppendItem(types, envelope, appends, Once, pending.Count == 0 ? null : new Enqueued(Out(), [.. pending])), ct);
        if (result is not Appended.Done) return result;
        Carry();
        committed();
        return result;
    }

    /// <summary>Keeps the idempotency record of a command that had nothing to append. False when another request with this key was first.</summary>
    public Task<bool> Keep(IReadOnlyDictionary<string, long> versions, CancellationToken ct) =>
        Once is null ? Task.FromResult(true) : IdempotencyRecord.Keep(database.Api, Once with { Versions = versions }, ct);

    private async ValueTask<string?> Headers(CancellationToken ct)
    {
        var headers = new Dictionary<string, object>(4);
        if (origin.Subject is { } subject)
        {
            if (origin.Ip is { } ip) headers["ip"] = await Sealed(subject, ip, ct);
            if (origin.UserAgent is { } agent) headers["user_agent"] = await Sealed(subject, agent, ct);
        }
        if (origin.TraceParent is { } trace) headers["traceparent"] = trace;
        if (origin.Reason is { } reason) headers["reason"] = reason;
        return headers.Count == 0 ? null : JsonSerializer.Serialize(headers);
    }

    private async ValueTask<Dictionary<string, object>> Sealed(string subject, string plain, CancellationToken ct) =>
        new() { ["$p"] = 1, ["s"] = subject, ["c"] = await keys.Seal(tenant, subject, plain, ct) };
}
