using System.Buffers;
using System.Security.Cryptography;
using System.Text.Encodings.Web;
using System.Text.Json;
using Npgsql;

namespace Nubabel.Store;

/// <summary>What an export wrote.</summary>
/// <param name="To">The last position it covers.</param>
/// <param name="Resumed">How many of the events stood there already.</param>
public sealed record ExportResult(long Events, long Keys, long To, long Resumed);

/// <summary>
/// Writes a stretch of the log to a file of events, up to the high-water mark at most: so what it holds is a whole prefix of the log, and nothing that is still
/// under way can be missing in it. An export that was cut off goes on behind the last whole line.
/// </summary>
public sealed class EventExport : IAsyncDisposable
{
    private const int MostBuffered = 1 << 20;
    private const int KeysAtOnce = 1_000;

    // A name that is not English stays readable; the file is no HTML.
    private static readonly JsonWriterOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private readonly NpgsqlDataSource daemon;
    private readonly Stream to;
    private readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly ArrayBufferWriter<byte> buffer = new(MostBuffered);
    private readonly Utf8JsonWriter writer;
    private EventFileHeader? header;
    private (string Tenant, string Subject) lastKey = ("", "");
    private long position, events, keys, resumed;
    private bool isWhole;

    private EventExport(NpgsqlDataSource daemon, Stream to)
    {
        (this.daemon, this.to) = (daemon, to);
        writer = new Utf8JsonWriter(buffer, Relaxed);
    }

    /// <summary>An export to a stream, from its beginning.</summary>
    public static EventExport To(NpgsqlDataSource daemon, Stream to) => new(daemon, to);

    /// <summary>An export that goes on behind the last whole line of a file; what was written of the line behind it is cut off.</summary>
    /// <exception cref="BadEventFile">The file is no export.</exception>
    public static async Task<EventExport> Resume(NpgsqlDataSource daemon, FileStream file, CancellationToken ct)
    {
        var export = new EventExport(daemon, file);
        var lines = new Lines(file);
        byte[] last = [];
        while (await lines.Next(ct) is { } line)
        {
            export.hash.AppendData(line.Span);
            if (lines.Number == 1)
            {
                using var first = EventFile.Parse(line, 1);
                export.header = EventFile.Header(first, 1);
            }
            else if (line.Span.StartsWith("{\"seq_id\":"u8)) export.events++;
            else if (line.Span.StartsWith("{\"key\":"u8)) export.keys++;
            // Only the last is looked at, so they take turns in one array.
            last = line.Length <= last.Length ? Copied(line.Span, last) : line.ToArray();
        }
        if (export.header is not null) export.StandsAt(last, lines.Number);
        export.resumed = export.events;
        file.SetLength(lines.Bytes);
        file.Position = lines.Bytes;
        return export;

        static byte[] Copied(ReadOnlySpan<byte> line, byte[] into)
        {
            line.CopyTo(into);
            into.AsSpan(line.Length).Fill((byte)' ');
            return into;
        }
    }

    /// <summary>What look-up keys are derived from, wrapped by the master key, in base64.</summary>
    public string? Root { get; set; }

    /// <summary>Writes what is wanted; of a resumed export what was wanted then.</summary>
    /// <param name="selection">What is taken.</param>
    /// <param name="shard">Where it is taken.</param>
    /// <param name="master">The fingerprint of the master key.</param>
    /// <param name="withKeys">Whether the keys of subjects go with it, wrapped by the master key.</param>
    /// <param name="progress">Told behind each page.</param>
    public async Task<ExportResult> Run(LogSelection selection, string shard, string? master, bool withKeys, Action<TransferProgress> progress, CancellationToken ct)
    {
        if (isWhole) return new ExportResult(events, keys, header!.To, resumed);
        if (header is null)
        {
            var now = TimeProvider.System.GetUtcNow();
            header = new EventFileHeader(selection.Tenant, selection.From, await LogPages.Last(daemon, selection, ct), shard, master, withKeys, now, Root);
            EventFile.Write(writer, header);
            await Line(ct);
        }
        // Behind the mark: a key is there before the first event that needs it.
        if (header.WithKeys && events == 0) await Keys(ct);
        var pages = new LogPages(daemon, header.Tenant);
        for (var after = Math.Max(position, header.From - 1); after < header.To;)
        {
            var (page, upTo) = await pages.Next(after, header.To, ct);
            foreach (var e in page)
            {
                EventFile.Write(writer, e);
                await Line(ct);
            }
            await Flush(ct);
            (after, events) = (upTo, events + page.Count);
            progress(new TransferProgress(events, header.Tenant is null ? header.To - header.From + 1 : null));
        }
        await Flush(ct);
        EventFile.Write(writer, new EventFileEnd(events, keys, Convert.ToHexStringLower(hash.GetHashAndReset())));
        await Line(ct);
        await Flush(ct);
        if (to is FileStream file) file.Flush(flushToDisk: true);
        return new ExportResult(events, keys, header.To, resumed);
    }

    public async ValueTask DisposeAsync()
    {
        await writer.DisposeAsync();
        hash.Dispose();
    }

    private void StandsAt(byte[] last, long number)
    {
        using var line = EventFile.Parse(last, number);
        switch (EventFile.KindOf(line))
        {
            case "end":
                isWhole = true;
                break;
            case "seq_id":
                position = EventFile.Event(line, number).Position;
                break;
            case "key":
                var key = EventFile.Key(line, number);
                lastKey = (key.Tenant, key.Subject);
                break;
            case "format":
                break;
            default:
                throw new BadEventFile(number, "This is no line of a file of events.");
        }
    }

    private async Task Keys(CancellationToken ct)
    {
        while (true)
        {
            await using var command = daemon.CreateCommand("""
                select tenant_id, subject, wrapped, created, destroyed from nubabel.subject_keys
                 where (tenant_id, subject) > ($1, $2) and ($3 is null or tenant_id = $3) order by tenant_id, subject limit $4
                """);
            command.Add(lastKey.Tenant);
            command.Add(lastKey.Subject);
            command.Parameters.Add(new NpgsqlParameter { Value = (object?)header!.Tenant ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Varchar });
            command.Add(KeysAtOnce);
            await using var reader = await command.ExecuteReaderAsync(ct);
            var found = 0;
            for (; await reader.ReadAsync(ct); found++, keys++)
            {
                var wrapped = reader.IsDBNull(2) ? null : reader.GetFieldValue<byte[]>(2);
                EventFile.Write(writer, new SubjectKeyRow(reader.GetString(0), reader.GetString(1), wrapped, reader.GetDateTime(3), reader.IsDBNull(4) ? null : reader.GetDateTime(4)));
                lastKey = (reader.GetString(0), reader.GetString(1));
                await Line(ct);
            }
            if (found < KeysAtOnce) return;
        }
    }

    /// <summary>Ends the line that was written to the buffer.</summary>
    private async ValueTask Line(CancellationToken ct)
    {
        writer.Flush();
        writer.Reset();
        buffer.GetSpan(1)[0] = (byte)'\n';
        buffer.Advance(1);
        if (buffer.WrittenCount >= MostBuffered) await Flush(ct);
    }

    private async ValueTask Flush(CancellationToken ct)
    {
        if (buffer.WrittenCount == 0) return;
        // Behind the end the hash has been taken, and nobody asks for it again.
        hash.AppendData(buffer.WrittenSpan);
        await to.WriteAsync(buffer.WrittenMemory, ct);
        await to.FlushAsync(ct);
        buffer.ResetWrittenCount();
    }
}
