using System.Reflection;
using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>
/// Folds the whole log into documents. The keys are hashed into slots; a pass over the log takes as many slots as their documents fit into memory, folds them
/// there (several partitions side by side), and writes them with its progress in one transaction. A pass that turns out too large lets the upper half of its slots go
/// to the next one. So memory is bounded for any number of documents, and a rebuild that was cut off goes on with the slots that are not written.
/// </summary>
internal sealed class DocumentLoad<TModel, TRow>(DocumentProjection<TModel, TRow> projection, EventTypes types, JsonSerializerOptions json) : BulkLoad
    where TModel : IDocument<TRow> where TRow : class
{
    /// <summary>
    /// Whether the model leaves its key to the default, the stream. Then PostgreSQL can sort out the slots of a pass by itself; otherwise each event is decoded
    /// before its key is known. A key that is declared anywhere counts as its own, whatever it does.
    /// </summary>
    private static readonly bool IsByStream = !typeof(TModel)
        .GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.FlattenHierarchy)
        .Any(m => m.Name == nameof(IDocument<>.Key) || m.Name.EndsWith($".{nameof(IDocument<>.Key)}", StringComparison.Ordinal));

    private static readonly string StreamSlot = $"(hashtextextended(coalesce(e.stream_id, ''), 0) & {DocumentSlots.Count - 1})::integer";

    public override async Task<(long Position, string? StoppedBy)> Run(BulkContext context, CancellationToken ct)
    {
        var (mark, width) = (context.Record.Mark, DocumentSlots.Count);
        while (context.Record.Slots < DocumentSlots.Count)
        {
            var pass = new Pass(this, context, Math.Min(DocumentSlots.Count, context.Record.Slots + width));
            await new LogPipe(context.Source, types, context.Workers).Read(0, mark, pass.Sql, pass.Decode, pass.Fold, ct);
            await pass.Write(ct);
            // A pass that had to let go says how many fit.
            width = pass.Width;
        }
        return (mark, null);
    }

    private readonly record struct Item(PageEvent Event, string Tenant, string Key, int Slot);

    private sealed class Document(string tenant, string key, int slot)
    {
        public string Tenant => tenant;
        public string Key => key;
        public int Slot => slot;
        public TRow? Row { get; set; }
        public long Version { get; set; }
        public long Position { get; set; }
        public List<(long Position, string Error)>? Parked { get; set; }
    }

    /// <summary>What a chunk holds for each partition, and its last position.</summary>
    private sealed record Decoded(List<Item>[] Parts, long Last);

    private sealed record Written(Document Document, byte[] Json, object?[] Values);

    private sealed class Pass(DocumentLoad<TModel, TRow> load, BulkContext context, int to)
    {
        private readonly Dictionary<(string, string), Document>[] partitions = [.. Enumerable.Range(0, context.Workers).Select(_ => new Dictionary<(string, string), Document>())];
        private readonly DocumentSizes sizes = new(context.Workers);
        private readonly int from = context.Record.Slots;
        private int until = to;

        public int Width => until - from;

        public string Sql(long after, long upTo)
        {
            var part = IsByStream && Width < DocumentSlots.Count ? $" and {StreamSlot} between {from} and {until - 1}" : "";
            return Select(load.Projection, after, upTo, IsByStream ? StreamSlot : "0", part);
        }

        public Decoded Decode(LogChunk chunk, LogRows rows)
        {
            var made = new List<Item>[partitions.Length];
            var last = 0L;
            for (var i = 0; i < made.Length; i++) made[i] = new List<Item>(chunk.Rows.Count / made.Length + 8);
            for (var i = 0; i < chunk.Rows.Count; i++)
            {
                var row = chunk.From(i);
                // Half of the work of a row that this pass has let go is spared.
                if (IsByStream && !IsMine(LogRows.First(row))) continue;
                var met = rows.Decode(row);
                var e = TModel.NeedsData ? met : met with { Unreadable = null };
                last = e.Event.Position;
                if (context.Skips.Contains(e.Event.Position) || DocumentProjection<TModel, TRow>.KeyOf(e, out var failed) is not { } key) continue;
                var tenant = load.Projection.TenantOf(e.Event);
                var slot = IsByStream ? LogRows.First(row) : DocumentSlots.Of(tenant, key);
                if (IsMine(slot)) made[slot % made.Length].Add(new Item(failed is null ? e : e with { Unreadable = failed }, tenant, key, slot));
            }
            context.Meter.Add(chunk.Rows.Count);
            return new Decoded(made, last);
        }

        /// <summary>Called in the order of the log; the partitions have no key in common, so each folds its own.</summary>
        public async ValueTask Fold(Decoded decoded, long upTo)
        {
            var parts = decoded.Parts;
            if (parts.Length == 1) FoldPart(0, parts[0]);
            else await Task.WhenAll(parts.Select((part, i) => part.Count == 0 ? Task.CompletedTask : Task.Run(() => FoldPart(i, part))));
            if (Math.Max(decoded.Last, upTo) is > 0 and var position) Show(position);
            while (Width > 1 && sizes.Bytes > context.Memory) LetGo();
        }

        public async Task Write(CancellationToken ct)
        {
            await using var connection = await context.Source.OpenConnectionAsync(ct);
            await using var transaction = await connection.BeginTransactionAsync(ct);
            await context.Record.Slotted(connection, until, context.Meter.Events, ct);
            var documents = partitions.SelectMany(p => p.Values);
            await Park(connection, documents, ct);
            try
            {
                await using var to = await connection.BeginBinaryImportAsync(CopyIn(load.Projection), ct);
                // Made side by side, written one behind the other, a bounded number ahead.
                var rows = documents.Where(d => d.Row is not null).AsParallel().AsOrdered().WithDegreeOfParallelism(context.Workers).WithCancellation(ct).Select(Serialized);
                foreach (var row in rows) await Write(to, row, ct);
                await to.CompleteAsync(ct);
            }
            catch (PostgresException refused) when (IsFaultOfValues(refused))
            {
                throw new ValueRefused(refused);
            }
            catch (AggregateException made) when (made.InnerException is ValueRefused refused)
            {
                throw refused;
            }
            await transaction.CommitAsync(ct);
        }

        private bool IsMine(int slot) => slot >= from && slot < Volatile.Read(ref until);

        private void FoldPart(int part, List<Item> items)
        {
            var documents = partitions[part];
            foreach (var item in items)
            {
                if (!IsMine(item.Slot)) continue;
                if (!documents.TryGetValue((item.Tenant, item.Key), out var document))
                {
                    documents[(item.Tenant, item.Key)] = document = new Document(item.Tenant, item.Key, item.Slot);
                    sizes.Added(part, item.Key);
                }
                Step(document, item.Event);
                if (sizes.IsSample(part) && document.Row is { } row) sizes.Sampled(part, Size(row));
                if (document is not { Row: null, Parked: null }) continue;
                // What is deleted, or was never there, is as if it had not come.
                documents.Remove((item.Tenant, item.Key));
                sizes.Removed(part);
            }
        }

        private static void Step(Document document, PageEvent e)
        {
            if (document.Parked is { } waiting)
            {
                waiting.Add((e.Event.Position, Parking.WaitsBehind));
                return;
            }
            // The model is foreign code: whatever it throws parks this key and nothing else.
#pragma warning disable CA1031
            try
            {
                if (e.Unreadable is not null) throw e.Unreadable;
                document.Row = TModel.Evolve(document.Row, e.Event);
                (document.Version, document.Position) = (e.Event.Version, e.Event.Position);
            }
            catch (Exception poison)
            {
                document.Parked = [(e.Event.Position, $"{poison.GetType().Name}: {poison.Message}")];
            }
#pragma warning restore CA1031
        }

        private int Size(TRow row)
        {
#pragma warning disable CA1031
            try
            {
                return JsonSerializer.SerializeToUtf8Bytes(row, load.Json).Length;
            }
            catch (Exception)
            {
                // It shows when it is written.
                return 0;
            }
#pragma warning restore CA1031
        }

        private Written Serialized(Document document)
        {
#pragma warning disable CA1031
            try
            {
                return new Written(document, JsonSerializer.SerializeToUtf8Bytes(document.Row!, load.Json), load.Projection.ValuesOf(document.Row!));
            }
            catch (Exception poison)
            {
                throw new ValueRefused(poison);
            }
#pragma warning restore CA1031
        }

        private async Task Write(NpgsqlBinaryImporter to, Written row, CancellationToken ct)
        {
            await to.StartRowAsync(ct);
            await to.WriteAsync(row.Document.Tenant, NpgsqlDbType.Varchar, ct);
            await to.WriteAsync(row.Document.Key, NpgsqlDbType.Varchar, ct);
            await to.WriteAsync(row.Document.Version, NpgsqlDbType.Bigint, ct);
            await to.WriteAsync(row.Document.Position, NpgsqlDbType.Bigint, ct);
            await to.WriteAsync(row.Json, NpgsqlDbType.Jsonb, ct);
            await WriteValues(to, load.Projection, row.Values, ct);
        }

        private async Task Park(NpgsqlConnection connection, IEnumerable<Document> documents, CancellationToken ct)
        {
            foreach (var parked in documents.Where(d => d.Parked is not null).SelectMany(d => d.Parked!.Select(p => (d.Tenant, d.Key, p.Position, p.Error))).Chunk(10_000))
            {
                await using var batch = new NpgsqlBatch(connection);
                batch.BatchCommands.Add(Parking.Park(load.Projection, parked));
                await batch.ExecuteNonQueryAsync(ct);
            }
        }

        /// <summary>The upper half of the slots is left to the next pass.</summary>
        private void LetGo()
        {
            Volatile.Write(ref until, from + Width / 2);
            for (var part = 0; part < partitions.Length; part++)
            {
                foreach (var (address, document) in partitions[part])
                {
                    if (IsMine(document.Slot)) continue;
                    partitions[part].Remove(address);
                    sizes.Removed(part);
                }
                partitions[part].TrimExcess();
            }
        }

        private void Show(long position) =>
            context.Meter.At((from + Width * (context.Record.Mark == 0 ? 1 : (double)position / context.Record.Mark)) / DocumentSlots.Count);
    }

    private DocumentProjection<TModel, TRow> Projection => projection;
    private JsonSerializerOptions Json => json;
}
