using System.Collections.Frozen;
using Nubabel.Api.Host;
using Nubabel.Domain.Flags;
using Nubabel.Projections.Flags;
using Nubabel.Store;

namespace Nubabel.Api.Flags;

/// <summary>Why a flag has the value it has.</summary>
public enum FlagReason { Unknown, Disabled, Override, Rule, Default }

/// <summary>What a flag is for an organization now.</summary>
public readonly record struct FlagValue(bool Enabled, FlagReason Reason);

/// <summary>
/// Evaluates flags in memory. Every node keeps all flags from the live tail, so that a change counts within a second everywhere. What is asked for is
/// read from a snapshot that is never changed, only replaced: an evaluation takes no lock, allocates nothing and sees each flag as it was at one moment.
/// Until the flags are loaded every one is unknown, which is off.
/// </summary>
public sealed class Evaluation(Node node) : ITailSubscriber
{
    private readonly EvaluationCounts counts = new();

    // Touched by the tail's loop alone.
    private Dictionary<string, Known> streams = [];
    private bool isSettled;
    private volatile FrozenDictionary<string, CompiledFlag>? flags;

    public IReadOnlyCollection<string> Aliases => FlagList.Types;

    public bool IsLoaded => flags is not null;

    /// <summary>The keys of the flags that are in use.</summary>
    public IEnumerable<string> Keys => flags?.Keys ?? [];

    public FlagValue Evaluate(string key, Guid organization)
    {
        // A key that nobody has created is not counted: whoever asks could fill the table with inventions.
        if (flags is not { } known || !known.TryGetValue(key, out var flag)) return new FlagValue(false, FlagReason.Unknown);
        var cell = counts.Find(flag.Tally, organization);
        var value = flag.Evaluate(organization, node.Time, counts, cell);
        counts.Add(flag.Tally, cell, value.Enabled);
        return value;
    }

    /// <summary>The same without being counted.</summary>
    public FlagValue Peek(string key, Guid organization) =>
        flags is { } known && known.TryGetValue(key, out var flag) ? flag.Evaluate(organization, node.Time, counts, -1) : new FlagValue(false, FlagReason.Unknown);

    /// <summary>What this node has counted.</summary>
    internal EvaluationCounts Counts => counts;

    public async Task<long> Load(CancellationToken ct)
    {
        var (rows, position) = await FlagList.All(node.Everyones, ct);
        streams = rows.ToDictionary(r => r.Stream, r => new Known(r.Version, r.Row, Compiled(r.Row)));
        // Not shown yet: the list may be behind, and a flag must not be switched on again that is off by now. What was known goes on counting.
        isSettled = false;
        return position;
    }

    public void CaughtUp()
    {
        isSettled = true;
        Publish();
    }

    public void OnEvent(Recorded e)
    {
        if (e.Tenant != Node.Platform) return;
        var known = streams.GetValueOrDefault(e.Stream);
        // At least once: what has been seen is over. A stream's events come in their order; one that this build does not know leaves a gap.
        if (e.Version <= known?.Version) return;
        var row = FlagList.Evolve(known?.Row, e);
        streams[e.Stream] = new Known(e.Version, row, Compiled(row));
        if (isSettled) Publish();
    }

    private CompiledFlag? Compiled(FlagRow? row) => row is { Status: FlagStatus.Active } ? new CompiledFlag(row, counts.TallyOf(row.Key)) : null;

    private void Publish() => flags = streams.Values.Select(k => k.Flag).OfType<CompiledFlag>().ToFrozenDictionary(f => f.Key, StringComparer.Ordinal);

    private sealed record Known(long Version, FlagRow? Row, CompiledFlag? Flag);
}
