using System.Security.Cryptography;

namespace Nubabel.Store;

/// <summary>What is wrong with a chain.</summary>
public enum ChainFault
{
    /// <summary>The event is not what it was.</summary>
    Altered,

    /// <summary>An event is gone.</summary>
    Missing,

    /// <summary>All from here to the chain's end are gone.</summary>
    Truncated,

    /// <summary>An event stands where another one stood, or under another position.</summary>
    Reordered,

    /// <summary>An event that was never chained stands among those that were.</summary>
    Inserted,

    /// <summary>The log is what was signed, and the chain's own record of it is not.</summary>
    Record,

    /// <summary>Log and record agree with each other and not with what was signed: both were changed, somewhere since the checkpoint before.</summary>
    Rewritten,

    /// <summary>A checkpoint that must be there is gone, or none of the keys has signed it.</summary>
    Checkpoint,
}

/// <summary>The first thing that is wrong.</summary>
/// <param name="Entry">The number of the entry among the tenant's, from 1.</param>
/// <param name="Position">Where it stands, or stood.</param>
/// <param name="After">Of what can only be narrowed down: the last position that is proven.</param>
public sealed record ChainFinding(ChainFault Fault, long Entry, long Position, long? After, string Detail);

/// <summary>What a verification found.</summary>
/// <param name="Entries">Entries that were looked at.</param>
/// <param name="Checkpoints">Checkpoints that agreed.</param>
/// <param name="Signed">Entries that checkpoints cover; what is younger rests on the chain's record alone.</param>
public sealed record ChainVerdict(string Tenant, long Entries, int Checkpoints, long Signed, ChainFinding? Finding)
{
    public bool IsValid => Finding is null;
}

/// <summary>
/// Compares the log of one tenant with the chain's record of it, and both with what was signed, in one pass and the order of positions. Nobody who can change the
/// log and the record can change what was signed; so a statement that is kept elsewhere finds what the database alone could not.
/// </summary>
/// <param name="find">Where an event with this id stands in the log now; null for nowhere.</param>
public sealed class ChainVerifier(string tenant, IReadOnlyList<Checkpoint> checkpoints, Func<Guid, CancellationToken, ValueTask<long?>> find)
{
    /// <summary>By the number of entries; several statements of one number must all be true.</summary>
    private readonly Checkpoint[][] signed = [.. checkpoints.GroupBy(c => c.Entries).OrderBy(g => g.Key).Select(g => g.ToArray())];
    private byte[] ofLog = ChainDigest.Seed(tenant);
    private byte[] ofRecord = ChainDigest.Seed(tenant);
    private long entries;
    private long recorded;
    private int agreed;
    private long proven;
    private long at;
    private ChainFinding? suspect;

    /// <summary>
    /// Adds the statements about the tenant that were kept elsewhere. One that no key opens is a finding and is not passed over: whoever exchanges the keys and signs
    /// everything anew is known by just that.
    /// </summary>
    internal static ChainFinding? AddKept(List<Checkpoint> checkpoints, string tenant, IReadOnlyList<string> kept, Func<string, ECDsa?> keys)
    {
        foreach (var statement in kept)
        {
            if (Checkpoint.Read(statement, keys) is not { } read) return new ChainFinding(ChainFault.Checkpoint, 0, 0, null, "none of the keys has signed a checkpoint that was kept elsewhere");
            if (read.Tenant == tenant) checkpoints.Add(read);
        }
        return null;
    }

    /// <param name="log">The tenant's events as they are stored now, by position.</param>
    /// <param name="record">What the chain says of them, by number.</param>
    public async Task<ChainVerdict> Verify(IAsyncEnumerable<LoggedEvent> log, IAsyncEnumerable<ChainEntry> record, CancellationToken ct)
    {
        await using var actual = log.GetAsyncEnumerator(ct);
        await using var expected = record.GetAsyncEnumerator(ct);
        var (hasActual, hasExpected) = (await actual.MoveNextAsync(), await expected.MoveNextAsync());
        while (hasExpected || hasActual)
        {
            var take = Side(hasActual ? actual.Current.Position : null, hasExpected ? expected.Current.Position : null);
            // What is younger than the record is not chained yet, unless it was signed.
            if (!hasExpected && agreed == signed.Length) break;
            // Of a file, entries may be gone from both sides.
            if (take != Which.Log && suspect is null && expected.Current.Number != recorded + 1) suspect = OutOfLine(expected.Current);
            var digest = take == Which.Record ? null : ChainDigest.Of(actual.Current);
            suspect ??= take switch
            {
                Which.Both => await Differs(actual.Current, expected.Current, digest!, ct),
                Which.Record => await Gone(expected.Current, hasActual, ct),
                _ when !hasExpected => new ChainFinding(ChainFault.Record, recorded + 1, actual.Current.Position, null, "the chain's record ends before what was signed"),
                _ => new ChainFinding(ChainFault.Inserted, recorded + 1, actual.Current.Position, null, $"{actual.Current.Type} of {actual.Current.Stream} was never chained"),
            };
            if (take != Which.Record && Count(ref entries, ref ofLog, digest!) is { } ofTheLog && Judge(ofTheLog, ofLog, isLog: true) is { } finding) return Verdict(finding);
            if (take != Which.Log && Count(ref recorded, ref ofRecord, expected.Current.Digest) is { } ofTheRecord && suspect is null && Judge(ofTheRecord, ofRecord, isLog: false) is { } rewritten)
                return Verdict(rewritten);
            at = take == Which.Record ? expected.Current.Position : actual.Current.Position;
            if (take != Which.Log) hasExpected = await expected.MoveNextAsync();
            if (take != Which.Record) hasActual = await actual.MoveNextAsync();
        }
        return Verdict(suspect ?? Short());
    }

    private enum Which { Both, Log, Record }

    private static Which Side(long? actual, long? expected) =>
        actual is null ? Which.Record : expected is null ? Which.Log : actual == expected ? Which.Both : actual < expected ? Which.Log : Which.Record;

    private ChainVerdict Verdict(ChainFinding? finding) => new(tenant, Math.Max(entries, recorded), agreed, agreed == 0 ? 0 : signed[agreed - 1][0].Entries, finding);

    /// <summary>Counts an entry; the checkpoints that speak of it, if any do.</summary>
    private Checkpoint[]? Count(ref long count, ref byte[] link, byte[] digest)
    {
        link = ChainDigest.Link(link, digest);
        count++;
        return agreed < signed.Length && signed[agreed][0].Entries == count ? signed[agreed] : null;
    }

    /// <summary>
    /// The link of the log, or of the record, against a checkpoint. Where the log meets it, what was suspected of the log is the record's fault; where it does not and
    /// nothing was suspected, log and record were changed alike.
    /// </summary>
    private ChainFinding? Judge(Checkpoint[] checkpoints, byte[] link, bool isLog)
    {
        var agrees = Array.TrueForAll(checkpoints, c => c.Link.AsSpan().SequenceEqual(link));
        var (entry, position) = (checkpoints[0].Entries, checkpoints[0].Position);
        if (suspect is { } found && agrees) return found with { Fault = ChainFault.Record, Detail = "the chain's record is not what was signed; the log is" };
        if (suspect is { Fault: not ChainFault.Record }) return suspect;
        if (!agrees) return new ChainFinding(ChainFault.Rewritten, entry, position, proven, "log and record were changed alike, or the checkpoint belongs to another chain");
        if (isLog) return null;
        agreed++;
        proven = position;
        return null;
    }

    private ChainFinding OutOfLine(ChainEntry next) => next.Number > recorded + 1
        ? new ChainFinding(ChainFault.Missing, recorded + 1, next.Position, at, $"entry {recorded + 1} is gone; the next one is {next.Number}")
        : new ChainFinding(ChainFault.Reordered, next.Number, next.Position, at, $"it stands where entry {recorded + 1} should be");

    private async ValueTask<ChainFinding?> Differs(LoggedEvent now, ChainEntry was, byte[] digest, CancellationToken ct)
    {
        if (digest.AsSpan().SequenceEqual(was.Digest) && now.Id == was.Id) return null;
        if (now.Id == was.Id) return Of(ChainFault.Altered, was, $"{now.Type} of {now.Stream} is not what it was");
        return await find(was.Id, ct) is { } elsewhere
            ? Of(ChainFault.Reordered, was, $"its event stands at {elsewhere} now")
            : Of(ChainFault.Altered, was, $"another event stands in its place, under the id {now.Id}");
    }

    private async ValueTask<ChainFinding> Gone(ChainEntry was, bool isMore, CancellationToken ct) =>
        await find(was.Id, ct) is { } elsewhere ? Of(ChainFault.Reordered, was, $"its event stands at {elsewhere} now")
        : isMore ? Of(ChainFault.Missing, was, "its event is gone")
        : Of(ChainFault.Truncated, was, "its event and all behind it are gone");

    /// <summary>The log and the record end before what was signed.</summary>
    private ChainFinding? Short() => agreed < signed.Length
        ? new ChainFinding(ChainFault.Truncated, recorded + 1, signed[agreed][0].Position, proven, $"{signed[^1][0].Entries} entries were signed and {recorded} are there")
        : null;

    private static ChainFinding Of(ChainFault fault, ChainEntry was, string detail) => new(fault, was.Number, was.Position, null, detail);
}
