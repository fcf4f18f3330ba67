using Nubabel.Api.Host;
using Nubabel.Store;

namespace Nubabel.Api.Erasures;

/// <summary>The ledger of erasures as this process uses it, and what the database knows of it.</summary>
public sealed partial class Ledger(Node node, Settings settings, ILogger<Ledger> log) : IDisposable
{
    private readonly ErasureLedger files = new(settings.ErasureLedger, node.Root.Derive("erasure-ledger"));
    private static readonly TimeSpan ProbeAtMostEvery = TimeSpan.FromSeconds(1);
    private readonly Lock probing = new();
    private volatile string? fault;
    private long? probed;

    /// <summary>Why no entry can be written now; null where nothing is wrong.</summary>
    public string? Fault
    {
        get
        {
            try
            {
                files.IsThere();
                Probe();
                return fault;
            }
            catch (LedgerFault e)
            {
                return e.Message;
            }
        }
    }

    internal ErasureLedger Files => files;

    /// <summary>What the ledger has and the database has not carried out to its end.</summary>
    /// <exception cref="LedgerFault">The ledger is missing, another one, damaged, or older than the database.</exception>
    public async Task<IReadOnlyList<LedgerEntry>> Missed(CancellationToken ct)
    {
        var known = await ErasureRows.Ledger(node.Everyones, ct);
        var found = files.Open(known);
        if (known is null)
        {
            // Of several processes at once the first one's word stands.
            await ErasureRows.Belongs(node.EveryonesWriter, found, ct);
            files.Open(await ErasureRows.Ledger(node.Everyones, ct));
        }
        // The database first: an entry is on disk before its row is written.
        var rows = (await ErasureRows.All(node.Everyones, ct)).ToDictionary(r => (r.Tenant, r.Person));
        var entries = (await files.Read(ct)).GroupBy(e => (e.Tenant, e.Person))
            .ToDictionary(g => g.Key, g => g.First() with { Subjects = [.. g.SelectMany(e => e.Subjects).Distinct().Order(StringComparer.Ordinal)] });
        var lacking = rows.Values.Where(r => !entries.TryGetValue((r.Tenant, r.Person), out var e) || r.Subjects.Except(e.Subjects).Any()).ToArray();
        if (lacking.Length > 0)
            throw new LedgerFault($"The ledger of erasures in {files.Directory} lacks {lacking.Length} of the erasures that the database knows, the first of {lacking[0].Entered:yyyy-MM-dd HH:mm} UTC: it is older than the database. Put the youngest copy of it there; where none is left, `nubabel erasures amend` writes down what the database knows.");
        var alive = (await ErasureRows.Alive(node.Everyones, [.. entries.Values.SelectMany(e => e.Subjects.Select(s => (e.Tenant, s)))], ct)).ToHashSet();
        return [.. entries.Values.Where(e => !rows.TryGetValue((e.Tenant, e.Person), out var row) || !row.IsDone || e.Subjects.Except(row.Subjects).Any() || e.Subjects.Any(s => alive.Contains((e.Tenant, s))))];
    }

    /// <summary>Makes sure that the ledger has it, on disk, and that the database knows.</summary>
    /// <exception cref="LedgerFault">It cannot be written.</exception>
    public async Task Enter(string tenant, Guid person, IReadOnlyList<string> subjects, CancellationToken ct)
    {
        if (await ErasureRows.Find(node.Everyones, tenant, person, ct) is { } row && !subjects.Except(row.Subjects).Any()) return;
        var entry = new LedgerEntry(node.Time.GetUtcNow(), tenant, person, subjects);
        try
        {
            await files.Enter(entry, ct);
            fault = null;
        }
        catch (LedgerFault e)
        {
            // Once per onset: the message looks again every minute.
            if (fault is null) NotWritten(e.Message);
            fault = e.Message;
            throw;
        }
        await ErasureRows.Entered(node.EveryonesWriter, entry, ct);
    }

    /// <summary>Writes into the ledger what the database knows and the ledger lacks; where there is no ledger, one is made. For when the right one is lost for good.</summary>
    /// <returns>How many it had lacked.</returns>
    /// <exception cref="LedgerFault">It is damaged, or cannot be written.</exception>
    public async Task<int> Amend(CancellationToken ct)
    {
        await ErasureRows.BelongsAnew(node.EveryonesWriter, files.Open(null), ct);
        var rows = await ErasureRows.All(node.Everyones, ct);
        var has = (await files.Read(ct)).ToLookup(e => (e.Tenant, e.Person), e => e.Subjects);
        var lacking = rows.Where(r => r.Subjects.Except(has[(r.Tenant, r.Person)].SelectMany(s => s)).Any()).ToArray();
        foreach (var row in lacking) await files.Enter(new LedgerEntry(row.Entered, row.Tenant, row.Person, row.Subjects), ct);
        return lacking.Length;
    }

    public void Dispose() => files.Dispose();

    /// <summary>Looks whether what was wrong still is. Another node may have written what this one could not, and then nothing else would ever tell.</summary>
    private void Probe()
    {
        lock (probing)
        {
            if (fault is not { } known || (probed is { } last && node.Time.GetElapsedTime(last) < ProbeAtMostEvery)) return;
            probed = node.Time.GetTimestamp();
            try
            {
                // An entry that has failed meanwhile says something newer.
                if (files.Probe()) Interlocked.CompareExchange(ref fault, null, known);
            }
            catch (LedgerFault e)
            {
                fault = e.Message;
            }
        }
    }

    [LoggerMessage(1, LogLevel.Error, "An erasure waits, and no key of it is destroyed: {Fault}")]
    private partial void NotWritten(string fault);
}
