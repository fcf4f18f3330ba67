using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>Folds events into documents, one per key.</summary>
internal sealed class DocumentProjection<TModel, TRow>(bool platform, JsonSerializerOptions json, bool beside = false)
    : Projection(TModel.Name, TModel.Version, platform, TModel.Types, TModel.Columns.All, TModel.Columns.Indexes, beside)
    where TModel : IDocument<TRow> where TRow : class
{
    private readonly JsonSerializerOptions json = json;

    internal override (IReadOnlyList<(string Name, string Type)> Columns, int Key) Fixed => (
        [("tenant_id", "character varying"), ("key", "character varying"), ("version", "bigint"), ("position", "bigint"), ("doc", "jsonb")], 2);

    internal override bool StopsAsAWhole => false;

    internal override Fold Begin(EventPage page) => new Work(this, page);

    internal override Projection Beside() => new DocumentProjection<TModel, TRow>(Platform, json, beside: true);

    internal override BulkLoad Bulk(EventTypes types) => new DocumentLoad<TModel, TRow>(this, types, json);

    private sealed class Document(string tenant, string key)
    {
        public string Tenant { get; } = tenant;
        public string Key { get; } = key;
        public List<PageEvent> Events { get; } = [];
        public TRow? Row { get; set; }
        public bool Existed { get; set; }
        public bool Touched { get; set; }
        public bool ParkedBefore { get; set; }
        public long Version { get; set; }
        public long Position { get; set; }
        public string? Stored { get; set; }

        /// <summary>What is written: made beside the fold, because a converter or a column's function may throw as well.</summary>
        public string Json { get; set; } = "";
        public object?[] Values { get; set; } = [];

        /// <summary>Events that wait, with the reason; not empty from the event on that failed.</summary>
        public List<(long Position, string Error)> Parked { get; } = [];
    }

    private sealed class Work : Fold
    {
        private readonly DocumentProjection<TModel, TRow> projection;
        private readonly Dictionary<(string, string), Document> documents = [];

        public Work(DocumentProjection<TModel, TRow> projection, EventPage page)
        {
            this.projection = projection;
            UpTo = page.To;
            foreach (var e in page.Events)
            {
                if (!projection.Wants(e.Event.Type)) continue;
                if (KeyOf(e, out var failed) is not { } key) continue;
                var address = (projection.TenantOf(e.Event), key);
                if (!documents.TryGetValue(address, out var document)) documents[address] = document = new Document(address.Item1, key);
                document.Events.Add(failed is null ? e : e with { Unreadable = failed });
            }
        }

        public override IReadOnlyList<object> Units => [.. documents.Values];

        public override void AddLoads(NpgsqlBatch batch)
        {
            if (documents.Count == 0) return;
            var rows = new NpgsqlBatchCommand($"""
                select t.tenant_id, t.key, t.version, t.position, t.doc from unnest($1::varchar[], $2::varchar[]) k (tenant_id, key)
                join {projection.Table.Quoted} t on t.tenant_id = k.tenant_id and t.key = k.key
                """);
            AddKeys(rows, [.. documents.Values]);
            batch.BatchCommands.Add(rows);
            var parked = new NpgsqlBatchCommand("""
                select distinct p.tenant_id, p.key from unnest($1::varchar[], $2::varchar[]) k (tenant_id, key)
                join nubabel.parked p on p.name = $3 and p.version = $4 and p.tenant_id = k.tenant_id and p.key = k.key
                """);
            AddKeys(parked, [.. documents.Values]);
            parked.Add(projection.Name);
            parked.Add(projection.Version);
            batch.BatchCommands.Add(parked);
        }

        public override async Task ReadLoads(NpgsqlDataReader reader, CancellationToken ct)
        {
            if (documents.Count == 0) return;
            while (await reader.ReadAsync(ct))
            {
                var document = documents[(reader.GetString(0), reader.GetString(1))];
                (document.Existed, document.Version, document.Position) = (true, reader.GetInt64(2), reader.GetInt64(3));
                document.Stored = reader.GetString(4);
            }
            await reader.NextResultAsync(ct);
            while (await reader.ReadAsync(ct)) documents[(reader.GetString(0), reader.GetString(1))].ParkedBefore = true;
            await reader.NextResultAsync(ct);
        }

        public override void Apply()
        {
            foreach (var document in documents.Values) Apply(document);
        }

        private void Apply(Document document)
        {
            var error = document.ParkedBefore ? WaitsBehind : null;
            foreach (var e in document.Events)
            {
                if (error is null && e.Event.Position > document.Position) error = Step(document, e);
                else if (error is not null) document.Parked.Add((e.Event.Position, WaitsBehind));
            }
            if (document is not { Touched: true, Row: { } row }) return;
#pragma warning disable CA1031
            try
            {
                document.Json = JsonSerializer.Serialize(row, projection.json);
                document.Values = projection.ValuesOf(row);
            }
            catch (Exception poison)
            {
                Refuse(document, $"{poison.GetType().Name}: {poison.Message}");
            }
#pragma warning restore CA1031
        }

        /// <summary>Folds one event; the error when it is poison, and the document stays as it was before it.</summary>
        private string? Step(Document document, PageEvent e)
        {
            // The model is foreign code: whatever it throws parks this key and nothing else.
#pragma warning disable CA1031
            try
            {
                if (e.Unreadable is not null) throw e.Unreadable;
                if (document.Stored is { } stored)
                {
                    document.Row = JsonSerializer.Deserialize<TRow>(stored, projection.json);
                    document.Stored = null;
                }
                var row = TModel.Evolve(document.Row, e.Event);
                (document.Row, document.Version, document.Position, document.Touched) = (row, e.Event.Version, e.Event.Position, true);
                return null;
            }
            catch (Exception poison)
            {
                document.Parked.Add((e.Event.Position, $"{poison.GetType().Name}: {poison.Message}"));
                return poison.Message;
            }
#pragma warning restore CA1031
        }

        public override void AddWrites(NpgsqlBatch batch, IReadOnlyList<object> units)
        {
            var all = units.Cast<Document>().ToArray();
            var upserts = all.Where(d => d.Touched && d.Row is not null).ToArray();
            var deletes = all.Where(d => d.Touched && d.Row is null && d.Existed).ToArray();
            var parked = all.Where(d => d.Parked.Count > 0).ToArray();
            if (upserts.Length > 0) batch.BatchCommands.Add(projection.Upsert(upserts));
            if (deletes.Length > 0)
            {
                var delete = new NpgsqlBatchCommand($"""
                    delete from {projection.Table.Quoted} t using unnest($1::varchar[], $2::varchar[]) k (tenant_id, key) where t.tenant_id = k.tenant_id and t.key = k.key
                    """);
                AddKeys(delete, deletes);
                batch.BatchCommands.Add(delete);
            }
            if (parked.Length > 0) batch.BatchCommands.Add(projection.Park([.. parked.SelectMany(d => d.Parked.Select(p => (d.Tenant, d.Key, p.Position, p.Error)))]));
        }

        public override bool Refuse(object unit, string error)
        {
            var document = (Document)unit;
            document.Touched = false;
            document.Parked.Clear();
            foreach (var e in document.Events) document.Parked.Add((e.Event.Position, document.Parked.Count == 0 ? error : WaitsBehind));
            return true;
        }
    }

    internal static string? KeyOf(PageEvent e, out Exception? failed)
    {
        failed = null;
#pragma warning disable CA1031
        try
        {
            // Where the event cannot be read, its key may not be found either; then it waits under its stream, so that it is not lost.
            return TModel.Key(e.Event) ?? (e.Unreadable is null ? null : e.Event.Stream);
        }
        catch (Exception poison)
        {
            failed = poison;
            return e.Event.Stream;
        }
#pragma warning restore CA1031
    }

    private static void AddKeys(NpgsqlBatchCommand command, IReadOnlyList<Document> documents)
    {
        command.AddArray(documents.Select(d => d.Tenant).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(documents.Select(d => d.Key).ToArray(), NpgsqlDbType.Varchar);
    }

    private NpgsqlBatchCommand Upsert(Document[] documents)
    {
        var set = Fixed.Columns.Skip(2).Select(c => c.Name).Concat(Columns.Select(c => new Name(c.Name).Quoted)).Select(c => $"{c} = excluded.{c}");
        var command = new NpgsqlBatchCommand(InsertSql($" on conflict (tenant_id, key) do update set {string.Join(", ", set)}"));
        AddKeys(command, documents);
        command.AddArray(documents.Select(d => d.Version).ToArray(), NpgsqlDbType.Bigint);
        command.AddArray(documents.Select(d => d.Position).ToArray(), NpgsqlDbType.Bigint);
        command.AddArray(documents.Select(d => d.Json).ToArray(), NpgsqlDbType.Jsonb);
        AddColumns(command, documents.Select(d => d.Values).ToArray());
        return command;
    }
}
