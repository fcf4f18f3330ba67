using System.Security.Cryptography;
using System.Text;

namespace Nubabel.Store.Tests.Transfer;

/// <summary>Exports and imports of the tests' vocabulary.</summary>
internal static class Transfers
{
    /// <summary>All of the log but its positions, in its order.</summary>
    public const string Everything = """
        select coalesce(string_agg(md5((id, stream_id, version, data, bdata, type, timestamp, tenant_id, mt_dotnet_type, correlation_id, causation_id, headers, user_name, is_archived)::text), ',' order by seq_id), '')
          from events.mt_events
        """;

    public const string Streams = "select coalesce(string_agg((tenant_id, id, type, version, is_archived)::text, ',' order by tenant_id, id), '') from events.mt_streams where version > 0";

    public static async Task<string> Export(this EngineDatabase database, LogSelection? selection = null, bool withKeys = false)
    {
        using var to = new MemoryStream();
        await using var export = EventExport.To(database.Daemon, to);
        await export.Run(selection ?? new LogSelection(), "main", null, withKeys, _ => { }, default);
        return Encoding.UTF8.GetString(to.ToArray());
    }

    public static Task<EventFileReport> Check(string file) => Check(Encoding.UTF8.GetBytes(file));

    public static async Task<EventFileReport> Check(byte[] file)
    {
        using var from = new MemoryStream(file);
        return await EventFileCheck.Run(from, Tallies.Types, new TallyNames(), null, _ => { }, default);
    }

    public static async Task<ImportResult> Import(this EngineDatabase database, string file, ImportWish? wish = null, Action<TransferProgress>? progress = null, CancellationToken ct = default)
    {
        var report = await Check(file);
        using var from = new MemoryStream(Encoding.UTF8.GetBytes(file));
        return await new EventImport(database.Daemon, Tallies.Types, new TallyNames(), wish ?? new ImportWish()).Run(from, report, progress ?? (_ => { }), ct);
    }

    /// <summary>A file with these lines between its first and its last, which say what is true of them.</summary>
    public static string File(params IReadOnlyList<string> lines)
    {
        var header = """{"format":"nubabel.events","version":1,"from":1,"to":100,"shard":"main","at":"2026-01-31T12:00:00Z"}""";
        var text = string.Concat(lines.Prepend(header).Select(l => l + "\n"));
        var keys = lines.Count(l => l.StartsWith("{\"key\"", StringComparison.Ordinal));
        return text + $$$"""{"end":{"events":{{{lines.Count - keys}}},"keys":{{{keys}}},"sha256":"{{{Sha(text)}}}"}}""" + "\n";
    }

    public static string Sha(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    /// <summary>A line as a file has it.</summary>
    public static string Line(long position, string stream, long version, string type = "tally_raised", string data = """{"by":1}""", string more = "", Guid? id = null) =>
        $$"""{"seq_id":{{position}},"id":"{{id ?? Guid.CreateVersion7()}}","tenant_id":"{{TallyLog.Tenant}}","stream_id":"{{stream}}","stream_type":"tally","version":{{version}},"type":"{{type}}","timestamp":"2026-01-31T12:00:00.123456Z",{{more}}"data":{{data}}}""";
}

/// <summary>Names of open tallies are unique.</summary>
internal sealed class TallyNames : IConsequences
{
    public bool HoldsClaims(string stream) => stream.StartsWith("tally-", StringComparison.Ordinal);

    public IReadOnlyList<ClaimValue> ClaimsOf(string stream, IReadOnlyList<Recorded> history)
    {
        string? name = null;
        foreach (var e in history)
            name = e.Data switch { TallyOpened o => o.Name, TallyRenamed r => r.Name, TallyClosed => null, _ => name };
        return name is null ? [] : [new ClaimValue("name", name)];
    }

    public string? SlugOf(LoggedEvent e) => null;
}
