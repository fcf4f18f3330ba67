using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Nubabel.Store;

/// <summary>Some rows of the log as they came over the wire in PostgreSQL's binary COPY format, whole and not yet decoded.</summary>
/// <param name="upTo">The stretch of the log that ends with this chunk, where one does; 0 elsewhere.</param>
internal sealed class LogChunk(byte[] buffer, List<int> rows, long upTo)
{
    /// <summary>Where each row begins in <see cref="Buffer"/>.</summary>
    public IReadOnlyList<int> Rows => rows;

    public long UpTo => upTo;

    public ReadOnlySpan<byte> From(int row) => buffer.AsSpan(rows[row]);

    /// <summary>Nothing points into the buffer any more.</summary>
    public void Return()
    {
        if (buffer.Length > 0) ArrayPool<byte>.Shared.Return(buffer);
    }
}

/// <summary>Cuts the stream of a binary COPY into chunks of whole rows.</summary>
internal static class LogChunks
{
    private const int ChunkSize = 128 << 10;

    /// <summary>Signature, flags and an empty extension: nothing that a reader of its own server has to look at.</summary>
    private const int HeaderSize = 19;

    private const short Trailer = -1;

    /// <summary>Reads the stream to its end and gives each chunk away; whoever gets it returns it.</summary>
    public static async Task Read(Stream stream, long upTo, Func<LogChunk, ValueTask> give, CancellationToken ct)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(ChunkSize);
        var rows = new List<int>();
        var (filled, at, ended) = (0, HeaderSize, false);
        while (!ended)
        {
            var read = await stream.ReadAsync(buffer.AsMemory(filled), ct);
            if (read == 0) throw new InvalidDataException("The copy of the log was cut off.");
            filled += read;
            ended = Cut(buffer.AsSpan(0, filled), rows, ref at);
            if (ended || filled < buffer.Length) continue;
            // The row that is not whole goes into the next chunk; where it alone fills this one, the next is larger.
            var rest = filled - at;
            var next = ArrayPool<byte>.Shared.Rent(rows.Count > 0 ? Math.Max(ChunkSize, rest + 1) : buffer.Length * 2);
            buffer.AsSpan(at, rest).CopyTo(next);
            if (rows.Count > 0) await give(new LogChunk(buffer, rows, 0));
            else ArrayPool<byte>.Shared.Return(buffer);
            (buffer, rows, filled, at) = (next, [], rest, 0);
        }
        // Behind the trailer there is nothing, but the driver wants to see that.
        while (await stream.ReadAsync(new byte[1], ct) > 0) { }
        await give(new LogChunk(buffer, rows, upTo));
    }

    /// <summary>Finds the whole rows from <paramref name="at"/> on and moves it behind them. True at the trailer.</summary>
    private static bool Cut(ReadOnlySpan<byte> filled, List<int> rows, ref int at)
    {
        while (at + sizeof(short) <= filled.Length)
        {
            var fields = BinaryPrimitives.ReadInt16BigEndian(filled[at..]);
            if (fields == Trailer) return true;
            var end = at + sizeof(short);
            for (var i = 0; i < fields; i++)
            {
                if (end + sizeof(int) > filled.Length) return false;
                end += sizeof(int) + Math.Max(0, BinaryPrimitives.ReadInt32BigEndian(filled[end..]));
            }
            if (end > filled.Length) return false;
            rows.Add(at);
            at = end;
        }
        return false;
    }
}

/// <summary>Decodes rows of <see cref="Columns"/>. Not for concurrent use: it keeps the texts that come again and again.</summary>
internal sealed class LogRows(EventTypes types)
{
    /// <summary>Behind a first column of the caller's own, an integer.</summary>
    public const string Columns = "e.seq_id, e.tenant_id, e.stream_id, e.version, e.type, e.data, e.timestamp, e.id, e.user_name, e.correlation_id, e.causation_id, e.headers";

    private static readonly long Epoch = new DateTime(2000, 1, 1, 0, 0, 0, DateTimeKind.Utc).Ticks;

    /// <summary>Beyond this many microseconds no time of .NET's lies, and the ticks would not be counted rightly.</summary>
    private const long Reach = long.MaxValue / TimeSpan.TicksPerMicrosecond / 2;

    private readonly Texts texts = new();

    /// <summary>The caller's own column.</summary>
    public static int First(ReadOnlySpan<byte> row) => BinaryPrimitives.ReadInt32BigEndian(row[6..]);

    public PageEvent Decode(ReadOnlySpan<byte> row)
    {
        // The number of fields and the caller's own column.
        row = row[10..];
        var position = BinaryPrimitives.ReadInt64BigEndian(Field(ref row));
        // Both columns may be null in this layout; as the daemon reads them.
        var tenant = Text(ref row, keep: true) ?? Projection.PlatformTenant;
        var stream = Text(ref row, keep: false) ?? "";
        var version = BinaryPrimitives.ReadInt64BigEndian(Field(ref row));
        var type = texts.Of(Field(ref row));
        var data = Field(ref row);
        var at = Time(BinaryPrimitives.ReadInt64BigEndian(Field(ref row)));
        var id = new Guid(Field(ref row), bigEndian: true);
        var (actor, correlation, causation, headers) = (Text(ref row, keep: true), Text(ref row, keep: false), Text(ref row, keep: false), Json(ref row));
        var known = types.Find(type) is not null;
        var (read, unreadable) = known ? Read(type, data, headers) : (null, null);
        return new PageEvent(new Recorded
        {
            Position = position,
            Tenant = tenant,
            Stream = stream,
            Version = version,
            Type = type,
            Data = read,
            IsUnknown = !known,
            At = at,
            Id = id,
            Actor = actor,
            CorrelationId = correlation,
            CausationId = causation,
            Headers = headers,
        }, unreadable);
    }

    private (object? Data, Exception? Unreadable) Read(string type, ReadOnlySpan<byte> data, string? headers)
    {
        // A converter or an upcast may throw anything; whatever it is, this event is poison and not the reader.
#pragma warning disable CA1031
        try
        {
            // Binary jsonb is its text behind a number that says so.
            return (types.Read(type, data[1..], EventRow.Shape(headers)), null);
        }
        catch (Exception unreadable)
        {
            return (null, unreadable);
        }
#pragma warning restore CA1031
    }

    /// <summary>Microseconds since 2000, as .NET can hold them: what <see cref="EventRow.Time"/> makes of a column.</summary>
    private static DateTimeOffset Time(long microseconds) => microseconds switch
    {
        long.MaxValue => DateTimeOffset.MaxValue,
        < -Reach or > Reach => DateTimeOffset.MinValue,
        _ when Epoch + microseconds * TimeSpan.TicksPerMicrosecond is var ticks && ticks >= 0 && ticks <= DateTime.MaxValue.Ticks => new DateTimeOffset(ticks, TimeSpan.Zero),
        _ => DateTimeOffset.MinValue,
    };

    private static ReadOnlySpan<byte> Field(ref ReadOnlySpan<byte> row)
    {
        var length = Math.Max(0, BinaryPrimitives.ReadInt32BigEndian(row));
        var field = row.Slice(sizeof(int), length);
        row = row[(sizeof(int) + length)..];
        return field;
    }

    private string? Text(ref ReadOnlySpan<byte> row, bool keep)
    {
        if (IsNull(ref row)) return null;
        var field = Field(ref row);
        return keep ? texts.Of(field) : Encoding.UTF8.GetString(field);
    }

    private static string? Json(ref ReadOnlySpan<byte> row) => IsNull(ref row) ? null : Encoding.UTF8.GetString(Field(ref row)[1..]);

    private static bool IsNull(ref ReadOnlySpan<byte> row)
    {
        if (BinaryPrimitives.ReadInt32BigEndian(row) >= 0) return false;
        row = row[sizeof(int)..];
        return true;
    }

    /// <summary>Texts that come again and again (tenants, aliases, actors) are made once. The table is small, and a newer text takes an older one's place.</summary>
    private sealed class Texts
    {
        private const int Places = 1024;
        private readonly (byte[] Bytes, string Text)[] places = new (byte[], string)[Places];

        public string Of(ReadOnlySpan<byte> bytes)
        {
            var hash = new HashCode();
            hash.AddBytes(bytes);
            ref var place = ref places[hash.ToHashCode() & (Places - 1)];
            if (place.Text is null || !bytes.SequenceEqual(place.Bytes)) place = (bytes.ToArray(), Encoding.UTF8.GetString(bytes));
            return place.Text;
        }
    }
}
