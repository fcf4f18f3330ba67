namespace Nubabel.Store;

/// <summary>An event as it will be written. Made by the caller's own thread: what cannot be written as JSON is that caller's fault alone.</summary>
internal sealed record Draft(Guid Id, EventType Type, object Data, string Json, string? Headers)
{
    public Recorded Recorded(Envelope envelope, string stream, long version, long position) => new()
    {
        Position = position,
        Tenant = envelope.Tenant,
        Stream = stream,
        Version = version,
        Type = Type.Alias,
        Data = Data,
        At = envelope.At,
        Id = Id,
        Actor = envelope.Actor,
        CorrelationId = envelope.CorrelationId,
        CausationId = envelope.CausationId,
        Headers = envelope.Headers,
        Weight = new Weight(Json.Length, envelope.Headers?.Length ?? 0),
    };
}

/// <summary>What a commit must have to itself while it runs: a stream, a claim, an idempotency key.</summary>
internal readonly record struct AppendKey(int Kind, string Tenant, string Scope, string Value)
{
    public const int Stream = 0, Claim = 1, Record = 2;
}

/// <summary>The messages that a commit enqueues.</summary>
internal sealed record Enqueued(Outbox Outbox, IReadOnlyList<Outgoing> Messages)
{
    /// <summary>Each of them is to be taken at once, whatever others there are: whether it is written depends on its commit alone.</summary>
    public bool IsPlain { get; } = Messages.All(Outbox.IsPlain);
}

/// <summary>One commit, made ready to be written: alone, or in a statement with others.</summary>
internal sealed class AppendItem
{
    private readonly IReadOnlyList<StreamAppend> streams;

    public AppendItem(EventTypes types, Envelope envelope, IReadOnlyList<StreamAppend> appends, IdempotencyRecord? once, Enqueued? enqueued = null)
    {
        Enqueued = enqueued;
        Bytes = enqueued?.Messages.Sum(m => m.Body.Length) ?? 0;
        Envelope = envelope;
        Named(envelope.Tenant);
        // One lock order for all: by stream id.
        streams = appends.Count == 1 ? appends : [.. appends.OrderBy(a => a.Stream, StringComparer.Ordinal)];
        Drafts = new Draft[streams.Count][];
        for (var i = 0; i < streams.Count; i++)
        {
            var append = streams[i];
            if (append.Take.Count + append.Release.Count > 0)
            {
                if (append.Expected == StreamAppend.Any) throw new InvalidOperationException("Claims need the state, so they need a version.");
                HasClaims = true;
                Bytes += append.Take.Concat(append.Release).Sum(c => c.Scope.Length + c.Value.Length);
            }
            Drafts[i] = new Draft[append.Events.Count];
            for (var n = 0; n < append.Events.Count; n++)
            {
                var draft = Drafts[i][n] = Drafted(types, envelope, append.Events[n]);
                Bytes += draft.Json.Length + (draft.Headers?.Length ?? 0);
            }
            Events += append.Events.Count;
        }
        if (once is null) return;
        Named(once.Tenant);
        Once = once.With(streams);
        Bytes += once.Scope.Length + once.Key.Length + (once.Answer?.Length ?? 0) + Once.Versions.Keys.Sum(stream => stream.Length);
    }

    public Envelope Envelope { get; }

    /// <summary>In the order of their ids.</summary>
    public IReadOnlyList<StreamAppend> Streams => streams;

    /// <summary>The events of each stream.</summary>
    public Draft[][] Drafts { get; }

    /// <summary>The idempotency record, with the versions that the streams will have.</summary>
    public IdempotencyRecord? Once { get; }

    /// <summary>The messages that go into its transaction; with a refusal there are none.</summary>
    public Enqueued? Enqueued { get; }

    public bool HasClaims { get; }
    public int Events { get; }

    /// <summary>Roughly what it weighs: the JSON of its events, their headers and messages, claims and its record, in characters.</summary>
    public long Bytes { get; }

    /// <summary>A stream and its events, nothing else: its refusal leaves nothing to take back.</summary>
    public bool IsPlain => streams.Count == 1 && !HasClaims && Once is null && Enqueued is null;

    /// <summary>
    /// Whether its refusal is a row that does not come back, however many others stand in the statement. Messages are found by the commit's first event, so they need
    /// its version.
    /// </summary>
    public bool CanShare => streams.Count == 1 && (Enqueued is null || Enqueued.IsPlain && streams[0].Expected != StreamAppend.Any && Events > 0);

    public IEnumerable<AppendKey> Keys()
    {
        foreach (var append in streams)
        {
            yield return new AppendKey(AppendKey.Stream, Envelope.Tenant, "", append.Stream);
            foreach (var claim in append.Take) yield return new AppendKey(AppendKey.Claim, Envelope.Tenant, claim.Scope, claim.Value);
        }
        if (Once is not null) yield return new AppendKey(AppendKey.Record, Once.Tenant, Once.Scope, Once.Key);
    }

    /// <summary>What was written, given each stream's new version and the positions of all its events from a place on, which moves behind them.</summary>
    public Appended.Done Done(ReadOnlySpan<long> versions, long[] positions, ref int next)
    {
        var events = new Recorded[Events];
        var at = 0;
        for (var i = 0; i < streams.Count; i++)
        {
            var first = versions[i] - Drafts[i].Length + 1;
            for (var n = 0; n < Drafts[i].Length; n++) events[at++] = Drafts[i][n].Recorded(Envelope, streams[i].Stream, first + n, positions[next++]);
        }
        return new Appended.Done(events);
    }

    private static Draft Drafted(EventTypes types, Envelope envelope, object data)
    {
        var type = types.Of(data);
        return new Draft(Guid.CreateVersion7(envelope.At), type, data, types.Write(data), Headers(envelope.Headers, type.Shape));
    }

    // The shape of an evolved event stands in its headers; the first shape is not written.
    private static string? Headers(string? headers, int shape) => (headers, shape) switch
    {
        (_, 1) => headers,
        (null, _) => $$"""{"$v":{{shape}}}""",
        _ => $$"""{"$v":{{shape}},{{headers.AsSpan(1)}}""",
    };

    // A batch's tenants are set as one list, so a name that could be read as two must never come this far.
    private static void Named(string tenant)
    {
        if (tenant.Length == 0 || tenant.Contains(',', StringComparison.Ordinal)) throw new ArgumentException("A tenant's id is neither empty nor has a comma.", nameof(tenant));
    }
}
