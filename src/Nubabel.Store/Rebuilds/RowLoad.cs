using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>
/// Makes the rows of the whole log and writes them as they come: decoded side by side, written in order, committed with their position every so often, so that
/// whoever goes on begins behind what is committed. An event that cannot be projected ends the load before it.
/// </summary>
internal sealed class RowLoad<TModel, TRow>(RowProjection<TModel, TRow> projection, EventTypes types, JsonSerializerOptions json) : BulkLoad
    where TModel : IRows<TRow> where TRow : class
{
    /// <summary>A commit costs little beside this many rows, and a rebuild that is cut off does no more than these again.</summary>
    private const int RowsOfCommit = 200_000;

    public override async Task<(long Position, string? StoppedBy)> Run(BulkContext context, CancellationToken ct)
    {
        var mark = context.Record.Mark;
        await using var writer = new Writer(projection, context);
        Poison? stopped = null;
        try
        {
            await new LogPipe(context.Source, types, context.Workers).Read(context.Record.Position, mark,
                (after, upTo) => Select(projection, after, upTo, "0", ""), (chunk, rows) => Decode(chunk, rows, context), Take, ct);
        }
        catch (Stopped)
        {
            // What comes before it is written.
        }
        var end = stopped is null ? mark : stopped.Position - 1;
        await writer.Commit(end, stopped is null ? [] : [Parking.Park(projection, [(stopped.Tenant, Parking.WholeKey, stopped.Position, stopped.Reason)])], ct);
        return (end, stopped?.Reason);

        async ValueTask Take(Made made, long upTo)
        {
            await writer.Write(made.Rows, ct);
            stopped = made.Poison;
            if (stopped is not null) throw new Stopped();
            var position = Math.Max(made.Last, upTo);
            if (position == 0) return;
            context.Meter.At((double)position / mark);
            if (writer.Rows >= RowsOfCommit) await writer.Commit(position, [], ct);
        }
    }

    private Made Decode(LogChunk chunk, LogRows rows, BulkContext context)
    {
        var made = new List<Row>(chunk.Rows.Count);
        var last = 0L;
        for (var i = 0; i < chunk.Rows.Count; i++)
        {
            var e = rows.Decode(chunk.From(i));
            last = e.Event.Position;
            if (context.Skips.Contains(last)) continue;
            // The model is foreign code: whatever it throws stops this projection and nothing else.
#pragma warning disable CA1031
            try
            {
                if (e.Unreadable is not null && TModel.NeedsData) throw e.Unreadable;
                var before = made.Count;
                foreach (var row in TModel.Project(e.Event))
                    made.Add(new Row(projection.TenantOf(e.Event), last, made.Count - before, JsonSerializer.SerializeToUtf8Bytes(row, json), projection.ValuesOf(row)));
            }
            catch (Exception poison)
            {
                made.RemoveAll(r => r.Position == last);
                return new Made(made, last, new Poison(projection.TenantOf(e.Event), last, $"event {last}: {poison.GetType().Name}: {poison.Message}"));
            }
#pragma warning restore CA1031
        }
        context.Meter.Add(chunk.Rows.Count);
        return new Made(made, last, null);
    }

    private sealed record Row(string Tenant, long Position, int Ordinal, byte[] Json, object?[] Values);

    private sealed record Poison(string Tenant, long Position, string Reason);

    private sealed record Made(List<Row> Rows, long Last, Poison? Poison);

    private sealed class Stopped : Exception;

    /// <summary>A COPY into the table, as one transaction after the other.</summary>
    private sealed class Writer(RowProjection<TModel, TRow> projection, BulkContext context) : IAsyncDisposable
    {
        private NpgsqlConnection? connection;
        private NpgsqlTransaction? transaction;
        private NpgsqlBinaryImporter? copy;

        public int Rows { get; private set; }

        public async Task Write(IReadOnlyList<Row> rows, CancellationToken ct)
        {
            if (rows.Count == 0) return;
            if (copy is null) await Begin(ct);
            await Refusable(async () =>
            {
                foreach (var row in rows)
                {
                    await copy!.StartRowAsync(ct);
                    await copy.WriteAsync(row.Tenant, NpgsqlDbType.Varchar, ct);
                    await copy.WriteAsync(row.Position, NpgsqlDbType.Bigint, ct);
                    await copy.WriteAsync(row.Ordinal, NpgsqlDbType.Integer, ct);
                    await copy.WriteAsync(row.Json, NpgsqlDbType.Jsonb, ct);
                    await WriteValues(copy, projection, row.Values, ct);
                }
            });
            Rows += rows.Count;
        }

        /// <summary>Commits what was written with the position that it reaches.</summary>
        public async Task Commit(long position, IReadOnlyList<NpgsqlBatchCommand> more, CancellationToken ct)
        {
            if (copy is null) await Begin(ct);
            await Refusable(async () => await copy!.CompleteAsync(ct));
            await copy!.DisposeAsync();
            await context.Record.Reached(connection!, position, context.Meter.Events, ct);
            await using (var batch = new NpgsqlBatch(connection))
            {
                foreach (var command in more) batch.BatchCommands.Add(command);
                if (more.Count > 0) await batch.ExecuteNonQueryAsync(ct);
            }
            await transaction!.CommitAsync(ct);
            await End();
        }

        public async ValueTask DisposeAsync()
        {
            // A COPY that was not completed is taken back.
            if (copy is not null) await copy.DisposeAsync();
            await End();
        }

        private async Task Begin(CancellationToken ct)
        {
            connection = await context.Source.OpenConnectionAsync(ct);
            transaction = await connection.BeginTransactionAsync(ct);
            copy = await connection.BeginBinaryImportAsync(CopyIn(projection), ct);
        }

        private async Task End()
        {
            if (transaction is not null) await transaction.DisposeAsync();
            if (connection is not null) await connection.DisposeAsync();
            (connection, transaction, copy, Rows) = (null, null, null, 0);
        }

        private static async Task Refusable(Func<Task> write)
        {
            try
            {
                await write();
            }
            catch (PostgresException refused) when (IsFaultOfValues(refused))
            {
                throw new ValueRefused(refused);
            }
        }
    }
}
