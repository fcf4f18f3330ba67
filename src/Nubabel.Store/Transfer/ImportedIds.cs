using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Looks whether an id of the file names another event here, before anything is written. The log has no index on ids (Marten's has none), so all ids of it are read once,
/// and those that may be the file's are looked up in the file: again where an import goes on, since then they are many and stand there rightly.
/// </summary>
/// <param name="most">How many of them are held in memory at once; the file is read once for so many.</param>
internal sealed class ImportedIds(NpgsqlDataSource daemon, EventFileReport report, Stream file, string? tenant, int most = 1_000_000)
{
    /// <summary>One statement reads at most this many positions, so that no snapshot is held for long.</summary>
    private const long Stretch = 200_000;

    private readonly Dictionary<Guid, (Int128 Place, long Position)> standing = [];

    /// <param name="progress">Told how far it is in the log.</param>
    /// <exception cref="ImportRefused">An id names another event here.</exception>
    public async Task Check(Action<TransferProgress> progress, CancellationToken ct)
    {
        await using var highest = daemon.CreateCommand("select coalesce(max(seq_id), 0) from events.mt_events");
        var last = (long)(await highest.ExecuteScalarAsync(ct))!;
        await using var connection = await daemon.OpenConnectionAsync(ct);
        for (var from = 0L; from < last; from += Stretch)
        {
            await Read(connection, from, ct);
            if (standing.Count >= most) await Compare(ct);
            progress(new TransferProgress(Math.Min(last, from + Stretch), last));
        }
        await Compare(ct);
    }

    private async Task Read(NpgsqlConnection connection, long from, CancellationToken ct)
    {
        await using var rows = await connection.BeginBinaryExportAsync(
            $"copy (select id, seq_id, coalesce(tenant_id, ''), coalesce(stream_id, ''), version from events.mt_events where seq_id > {from} and seq_id <= {from + Stretch}) to stdout (format binary)", ct);
        while (await rows.StartRowAsync(ct) >= 0)
        {
            var id = await rows.ReadAsync<Guid>(ct);
            if (!report.Ids.MayHave(id))
            {
                for (var column = 1; column < 5; column++) await rows.SkipAsync(ct);
                continue;
            }
            var position = await rows.ReadAsync<long>(ct);
            standing[id] = (PlaceOf(await rows.ReadAsync<string>(ct), await rows.ReadAsync<string>(ct), await rows.ReadAsync<long>(ct)), position);
        }
    }

    private async Task Compare(CancellationToken ct)
    {
        if (standing.Count == 0) return;
        file.Position = 0;
        var lines = new Lines(file);
        while (await lines.Next(ct) is { } line)
        {
            using var parsed = EventFile.Parse(line, lines.Number);
            if (EventFile.KindOf(parsed) != "seq_id") continue;
            var e = EventFile.Event(parsed, lines.Number);
            if (tenant is not null && tenant != e.Tenant) continue;
            if (standing.TryGetValue(e.Id, out var here) && here.Place != PlaceOf(e.Tenant, e.Stream, e.Version)) throw await Refused(lines.Number, e, here.Position, ct);
        }
        standing.Clear();
    }

    private async Task<ImportRefused> Refused(long line, LoggedEvent e, long position, CancellationToken ct)
    {
        await using var command = daemon.CreateCommand("select tenant_id, stream_id, version from events.mt_events where seq_id = $1");
        command.Add(position);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var other = await reader.ReadAsync(ct) ? $"version {reader.GetInt64(2)} of the stream {reader.GetValue(1)} of {reader.GetValue(0)}" : "another event";
        return new ImportRefused(line, $"the event {e.Id} is version {e.Version} of the stream {e.Stream} of {e.Tenant}, and here this id names {other}. One id names one event; nothing was written.");
    }

    // Of a million streams the names would not be small.
    private static Int128 PlaceOf(string tenant, string stream, long version) =>
        System.Buffers.Binary.BinaryPrimitives.ReadInt128LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes($"{tenant}\n{stream}\n{version}")));
}
