using System.Collections.Concurrent;
using System.Threading.Channels;
using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// Reads the log once, in order, by binary COPY: one task cuts what PostgreSQL sends into chunks, several decode them side by side, and one takes what they
/// have made in the order of the log. What is under way is bounded by the number of chunks, whatever the length of the log.
/// </summary>
internal sealed class LogPipe(NpgsqlDataSource source, EventTypes types, int workers)
{
    /// <summary>
    /// One statement reads at most this many positions. A statement over the whole log would be one snapshot for as long as it takes, and vacuum could clean
    /// nothing away behind it in the meantime, the checkpoints above all.
    /// </summary>
    private const long Stretch = 1_000_000;

    private readonly ConcurrentBag<LogRows> rows = [];

    /// <summary>Reads (from, to].</summary>
    /// <param name="sql">The statement for a stretch, with a column of its own before <see cref="LogRows.Columns"/>, in the order of positions.</param>
    /// <param name="decode">Called for several chunks at a time.</param>
    /// <param name="take">Called for one after the other, in order; with the position that all before is read up to, where a stretch ends.</param>
    public async Task Read<T>(long from, long to, Func<long, long, string> sql, Func<LogChunk, LogRows, T> decode, Func<T, long, ValueTask> take, CancellationToken ct)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var chunks = Channel.CreateBounded<Task<(T Made, long UpTo)>>(workers * 2);
        var reading = Task.Run(Fill, CancellationToken.None);
        try
        {
            await foreach (var chunk in chunks.Reader.ReadAllAsync(ct))
            {
                var (made, upTo) = await chunk;
                await take(made, upTo);
            }
        }
        finally
        {
            await ending.CancelAsync();
            await reading;
        }

        async Task Fill()
        {
            // Whatever it is, the one who takes is told.
#pragma warning disable CA1031
            try
            {
                for (var at = from; at < to; at = Math.Min(to, at + Stretch)) await Copy(sql(at, Math.Min(to, at + Stretch)), Math.Min(to, at + Stretch));
                chunks.Writer.Complete();
            }
            catch (Exception failure)
            {
                chunks.Writer.Complete(failure);
            }
#pragma warning restore CA1031
        }

        async Task Copy(string statement, long upTo)
        {
            await using var connection = await source.OpenConnectionAsync(ending.Token);
            await using var stream = await connection.BeginRawBinaryCopyAsync($"copy ({statement}) to stdout (format binary)", ending.Token);
            await LogChunks.Read(stream, upTo, chunk => chunks.Writer.WriteAsync(Task.Run(() => Decoded(chunk, decode)), ending.Token), ending.Token);
        }
    }

    private (T Made, long UpTo) Decoded<T>(LogChunk chunk, Func<LogChunk, LogRows, T> decode)
    {
        if (!rows.TryTake(out var decoder)) decoder = new LogRows(types);
        try
        {
            return (decode(chunk, decoder), chunk.UpTo);
        }
        finally
        {
            rows.Add(decoder);
            chunk.Return();
        }
    }
}
