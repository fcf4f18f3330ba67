using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Nubabel.Store;

/// <summary>
/// A tenant's chain as a file that can be verified where there is no database: lines of JSON, the first with the tenant and the public keys, then the entries with
/// all that is digested, in order, and behind the entry that it speaks of each checkpoint. docs/audit.md has the format.
/// </summary>
public static class ChainFile
{
    private const string Format = "nubabel-audit-chain-1";

    /// <summary>Longer than any event that the log takes.</summary>
    private const int LongestLine = 64 << 20;

    /// <summary>Writes what is chained of the tenant now; the number of entries.</summary>
    public static async Task<long> Write(ChainStore store, JsonObject keys, string tenant, TextWriter to, Action<long, long>? progress, CancellationToken ct)
    {
        var (last, _) = await store.End(tenant, ct);
        await to.WriteLineAsync(new JsonObject { ["format"] = Format, ["tenant"] = tenant, ["keys"] = keys }.ToJsonString().AsMemory(), ct);
        var checkpoints = new Queue<KeptCheckpoint>();
        await foreach (var checkpoint in store.Checkpoints(tenant, last, ct)) checkpoints.Enqueue(checkpoint);
        await using var record = store.Record(tenant, last, ct).GetAsyncEnumerator(ct);
        var number = 0L;
        await foreach (var e in store.Log(tenant, last, progress, ct))
        {
            // What the chain does not know is written too: that it is there is for whoever verifies to find.
            var known = await record.MoveNextAsync();
            number++;
            await to.WriteLineAsync(Line(e, known ? record.Current.Number : number, known ? record.Current.Digest : []).ToJsonString().AsMemory(), ct);
            while (checkpoints.TryPeek(out var next) && next.Entries <= number) await to.WriteLineAsync(Statement(checkpoints.Dequeue()).AsMemory(), ct);
        }
        while (checkpoints.TryDequeue(out var rest)) await to.WriteLineAsync(Statement(rest).AsMemory(), ct);
        return number;
    }

    /// <summary>Verifies a file.</summary>
    /// <param name="trusted">The keys that count; null for those that the file itself names, which whoever made the file may have chosen.</param>
    /// <param name="kept">Statements that were kept elsewhere.</param>
    /// <exception cref="FormatException">It is no such file, or a line of it cannot be read.</exception>
    public static async Task<ChainVerdict> Verify(string path, JsonElement? trusted, IReadOnlyList<string> kept, CancellationToken ct)
    {
        var head = await Lines(path, ct).FirstOrDefaultAsync(ct);
        if (head.ValueKind != JsonValueKind.Object || Text(head, "format") != Format || Text(head, "tenant") is not { } tenant) throw new FormatException($"The first line does not say {Format}.");
        var keys = ChainKeys.Verifying(trusted ?? (head.TryGetProperty("keys", out var own) ? own : throw new FormatException("The first line names no keys.")));
        var checkpoints = new List<Checkpoint>();
        await foreach (var line in Lines(path, ct))
        {
            if (Text(line, "checkpoint") is not { } statement) continue;
            if (Checkpoint.Read(statement, keys) is not { } checkpoint || checkpoint.Tenant != tenant)
                return new ChainVerdict(tenant, 0, 0, 0, new ChainFinding(ChainFault.Checkpoint, checkpoints.LastOrDefault()?.Entries ?? 0, checkpoints.LastOrDefault()?.Position ?? 0, null, "behind this entry stands a checkpoint that none of the keys has signed for this tenant"));
            checkpoints.Add(checkpoint);
        }
        if (ChainVerifier.AddKept(checkpoints, tenant, kept, keys) is { } unsigned) return new ChainVerdict(tenant, 0, 0, 0, unsigned);
        return await new ChainVerifier(tenant, checkpoints, Find).Verify(Events(path, tenant, ct), Record(path, ct), ct);

        async ValueTask<long?> Find(Guid id, CancellationToken token)
        {
            await foreach (var e in Events(path, tenant, token))
                if (e.Id == id) return e.Position;
            return null;
        }
    }

    private static JsonObject Line(LoggedEvent e, long number, byte[] digest) => new()
    {
        ["entry"] = number,
        ["position"] = e.Position,
        ["id"] = e.Id.ToString(),
        ["tenant"] = e.Tenant,
        ["stream"] = e.Stream,
        ["version"] = e.Version,
        ["type"] = e.Type,
        ["at"] = ChainDigest.Microseconds(e.At),
        ["actor"] = e.Actor,
        ["data"] = e.Data,
        ["headers"] = e.Headers,
        ["digest"] = Convert.ToHexStringLower(digest),
    };

    private static string Statement(KeptCheckpoint checkpoint) => new JsonObject { ["checkpoint"] = checkpoint.Statement }.ToJsonString();

    private static async IAsyncEnumerable<LoggedEvent> Events(string path, string tenant, [EnumeratorCancellation] CancellationToken ct)
    {
        await foreach (var line in Entries(path, ct))
        {
            yield return new LoggedEvent
            {
                Position = Number(line, "position"),
                Id = Id(line),
                Tenant = Text(line, "tenant") ?? tenant,
                Stream = Text(line, "stream") ?? "",
                Version = Number(line, "version"),
                Type = Text(line, "type") ?? "",
                At = DateTime.UnixEpoch.AddTicks(Math.Clamp(Number(line, "at"), -62_000_000_000_000_000, 250_000_000_000_000_000) * TimeSpan.TicksPerMicrosecond),
                Actor = Text(line, "actor"),
                Data = Text(line, "data") ?? "",
                Headers = Text(line, "headers"),
            };
        }
    }

    private static async IAsyncEnumerable<ChainEntry> Record(string path, [EnumeratorCancellation] CancellationToken ct)
    {
        await foreach (var line in Entries(path, ct)) yield return new ChainEntry(Number(line, "entry"), Number(line, "position"), Id(line), Digest(line));
    }

    private static IAsyncEnumerable<JsonElement> Entries(string path, CancellationToken ct) => Lines(path, ct).Where(line => line.TryGetProperty("entry", out _));

    private static async IAsyncEnumerable<JsonElement> Lines(string path, [EnumeratorCancellation] CancellationToken ct)
    {
        using var file = new StreamReader(path);
        for (var number = 1; await file.ReadLineAsync(ct) is { } line; number++)
        {
            if (line.Length == 0) continue;
            yield return line.Length <= LongestLine && Parsed(line) is { ValueKind: JsonValueKind.Object } read ? read
                : throw new FormatException($"Line {number.ToString(CultureInfo.InvariantCulture)} is no JSON object.");
        }
    }

    private static JsonElement? Parsed(string line)
    {
        try
        {
            return JsonElement.Parse(line);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string? Text(JsonElement line, string name) =>
        !line.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString() : throw new FormatException($"{name} is no text.");

    private static long Number(JsonElement line, string name) =>
        line.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) ? number : throw new FormatException($"{name} is no whole number.");

    private static Guid Id(JsonElement line) => Guid.TryParse(Text(line, "id"), out var id) ? id : throw new FormatException("id is no UUID.");

    private static byte[] Digest(JsonElement line)
    {
        try
        {
            return Convert.FromHexString(Text(line, "digest") ?? "") is { Length: ChainDigest.Size } digest ? digest : throw new FormatException("digest has not 32 bytes.");
        }
        catch (FormatException)
        {
            throw new FormatException("digest is not 32 bytes in hexadecimal digits.");
        }
    }
}
