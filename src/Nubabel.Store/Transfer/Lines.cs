namespace Nubabel.Store;

/// <summary>Reads a file line by line as bytes. What stands behind the last line feed is no line: a cut-off file has it.</summary>
internal sealed class Lines(Stream from)
{
    private const int Smallest = 1 << 16;

    /// <summary>No longer line can be an event: PostgreSQL keeps no value of more than 256 MB.</summary>
    private const int Longest = 300 << 20;

    private byte[] buffer = new byte[Smallest];
    private int start, end;

    /// <summary>Lines so far.</summary>
    public long Number { get; private set; }

    /// <summary>Bytes of these lines, line feeds included.</summary>
    public long Bytes { get; private set; }

    /// <summary>Whether something stands behind the last line.</summary>
    public bool Torn => end > start;

    /// <summary>The next line with its line feed, good until the next call; null at the end.</summary>
    public async ValueTask<ReadOnlyMemory<byte>?> Next(CancellationToken ct)
    {
        var looked = 0;
        while (true)
        {
            var at = buffer.AsSpan(start + looked, end - start - looked).IndexOf((byte)'\n');
            if (at >= 0)
            {
                var line = buffer.AsMemory(start, looked + at + 1);
                start += line.Length;
                Bytes += line.Length;
                Number++;
                return line;
            }
            looked = end - start;
            if (!await Fill(ct)) return null;
        }
    }

    private async ValueTask<bool> Fill(CancellationToken ct)
    {
        if (start > 0)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            (start, end) = (0, end - start);
        }
        if (end == buffer.Length)
        {
            if (end >= Longest) throw new BadEventFile(Number + 1, "The line is too long to be an event.");
            Array.Resize(ref buffer, Math.Min(buffer.Length * 2, Longest));
        }
        var read = await from.ReadAsync(buffer.AsMemory(end), ct);
        end += read;
        return read > 0;
    }
}
