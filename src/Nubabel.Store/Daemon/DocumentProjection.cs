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

    internal override Fold Begin(EventPage page, IReadOnlySet<long> skips) => new Work(this, page, skips);

    internal override Fold Again(IReadOnlyList<ParkedEvent> parked, IReadOnlySet<long> skips, long order) => new RetryWork(this, parked, skips, order);

    internal override Projection Beside() => new DocumentProjection<TModel, TRow>(Platform, json, beside: true);

    internal override BulkLoad Bulk(EventTypes types) => new DocumentLoad<TModel, TRow>(this, types, json);

    private Document<TRow> Document(string tenant, string key) => new(tenant, key, TModel.Evolve, ValuesOf, json);

    /// <summary>The documents of a page.</summary>
    private class Work : Fold
    {
        private readonly Dictionary<(string Tenant, string Key), Document<TRow>> documents = [];

        public Work(DocumentProjection<TModel, TRow> projection, EventPage page, IReadOnlySet<long> skips) : this(projection, page.To)
        {
            foreach (var met in page.Events)
            {
                if (!projection.Wants(met.Event.Type) || skips.Contains(met.Event.Position)) continue;
                var e = TModel.NeedsData ? met : met with { Unreadable = null };
                if (KeyOf(e, out var failed) is not { } key) continue;
                DocumentOf(projection.TenantOf(e.Event), key).Add(failed is null ? e : e with { Unreadable = failed });
            }
        }

        protected Work(DocumentProjection<TModel, TRow> projection, long upTo) => (Projection, UpTo) = (projection, upTo);

        protected DocumentProjection<TModel, TRow> Projection { get; }

        public override IReadOnlyList<object> Units => [.. documents.Values];

        public override void AddLoads(NpgsqlBatch batch)
        {
            if (documents.Count == 0) return;
            var rows = new NpgsqlBatchCommand($"""
                select t.tenant_id, t.key, t.version, t.position, t.doc from unnest($1::varchar[], $2::varchar[]) k (tenant_id, key)
                join {Projection.Table.Quoted} t on t.tenant_id = k.tenant_id and t.key = k.key
                """);
            AddKeys(rows, [.. documents.Values]);
            batch.BatchCommands.Add(rows);
            var parked = new NpgsqlBatchCommand("""
                select k.tenant_id, k.key from unnest($1::varchar[], $2::varchar[]) k (tenant_id, key)
                where exists (select from nubabel.parked p where p.name = $3 and p.version = $4 and p.tenant_id = k.tenant_id and p.key = k.key)
                """);
            AddKeys(parked, [.. documents.Values]);
            parked.Add(Projection.Name);
            parked.Add(Projection.Version);
            batch.BatchCommands.Add(parked);
        }

        public override async Task ReadLoads(NpgsqlDataReader reader, CancellationToken ct)
        {
            if (documents.Count == 0) return;
            while (await reader.ReadAsync(ct)) documents[(reader.GetString(0), reader.GetString(1))].Load(reader.GetInt64(2), reader.GetInt64(3), reader.GetString(4));
            await reader.NextResultAsync(ct);
            while (await reader.ReadAsync(ct)) FoundParked(documents[(reader.GetString(0), reader.GetString(1))]);
            await reader.NextResultAsync(ct);
        }

        public override void Apply()
        {
            foreach (var document in documents.Values) document.Fold();
        }

        /// <summary>What was found parked must still be: a retry may have come between the reading and the fence, and nothing may wait behind nothing.</summary>
        public override void AddChecks(NpgsqlBatch batch)
        {
            var parked = documents.Values.Where(d => d.IsParked).ToArray();
            if (parked.Length == 0) return;
            var check = new NpgsqlBatchCommand($"""
                select nubabel.refuse('{PageFeed.StaleState}', k.key) from unnest($1::varchar[], $2::varchar[]) k (tenant_id, key)
                where not exists (select from nubabel.parked p where p.name = $3 and p.version = $4 and p.tenant_id = k.tenant_id and p.key = k.key)
                """);
            AddKeys(check, parked);
            check.Add(Projection.Name);
            check.Add(Projection.Version);
            batch.BatchCommands.Add(check);
        }

        public override void AddWrites(NpgsqlBatch batch, IReadOnlyList<object> units)
        {
            var all = units.Cast<Document<TRow>>().ToArray();
            var upserts = all.Where(d => d.IsTouched && d.Row is not null).ToArray();
            var deletes = all.Where(d => d.IsTouched && d.Row is null && d.Exists).ToArray();
            if (upserts.Length > 0) batch.BatchCommands.Add(Projection.Upsert(upserts));
            if (deletes.Length > 0)
            {
                var delete = new NpgsqlBatchCommand($"""
                    delete from {Projection.Table.Quoted} t using unnest($1::varchar[], $2::varchar[]) k (tenant_id, key) where t.tenant_id = k.tenant_id and t.key = k.key
                    """);
                AddKeys(delete, deletes);
                batch.BatchCommands.Add(delete);
            }
            AddParked(batch, all);
        }

        public override int Steps(object unit) => ((Document<TRow>)unit).Events.Count;

        public override void Take(object unit, int steps, string? error) => ((Document<TRow>)unit).Take(steps, error);

        protected virtual void FoundParked(Document<TRow> document) => document.IsParked = true;

        protected virtual void AddParked(NpgsqlBatch batch, IReadOnlyList<Document<TRow>> all)
        {
            var parked = all.SelectMany(d => d.Parked.Select(p => (d.Tenant, d.Key, p.Position, p.Error))).ToArray();
            if (parked.Length > 0) batch.BatchCommands.Add(Parking.Park(Projection, parked));
        }

        protected Document<TRow> DocumentOf(string tenant, string key)
        {
            if (!documents.TryGetValue((tenant, key), out var document)) documents[(tenant, key)] = document = Projection.Document(tenant, key);
            return document;
        }
    }

    /// <summary>The key of the document that the event belongs to; null for none.</summary>
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

    /// <summary>The documents of parked keys, whose events are taken out of the park as far as they can be folded now.</summary>
    private sealed class RetryWork : Work
    {
        private readonly long order;
        private readonly List<(string Tenant, string Key, long Position)> passed = [];

        public RetryWork(DocumentProjection<TModel, TRow> projection, IReadOnlyList<ParkedEvent> parked, IReadOnlySet<long> skips, long order) : base(projection, 0)
        {
            this.order = order;
            foreach (var (tenant, key, e) in parked)
            {
                var actual = KeyOf(e, out var failed);
                // Skipped, or by today's code of no document at all.
                if (skips.Contains(e.Event.Position) || actual is null) passed.Add((tenant, key, e.Event.Position));
                else DocumentOf(tenant, key).Add(failed is not null ? e with { Unreadable = failed } : actual == key ? e : e with { Unreadable = new ElsewhereException(actual) });
            }
        }

        public override void AddChecks(NpgsqlBatch batch)
        {
            // All is read and written under the checkpoint's lock, so there is nothing to prove.
            if (passed.Count > 0) batch.BatchCommands.Add(Parking.Release(Projection, passed));
        }

        // All of them are: that is why they are here.
        protected override void FoundParked(Document<TRow> document)
        {
        }

        protected override void AddParked(NpgsqlBatch batch, IReadOnlyList<Document<TRow>> all)
        {
            var free = all.SelectMany(d => d.Events.Take(d.Folded).Select(e => (d.Tenant, d.Key, e.Event.Position))).ToArray();
            if (free.Length > 0) batch.BatchCommands.Add(Parking.Release(Projection, free));
            var failed = all.Where(d => d.Parked.Count > 0).Select(d => (d.Tenant, d.Key, d.Parked[0].Position, d.Parked[0].Error)).ToArray();
            if (failed.Length > 0) batch.BatchCommands.Add(Parking.FailAgain(Projection, failed, order));
        }
    }

    private sealed class ElsewhereException(string key)
        : Exception($"The event belongs to {key}, which has gone on without it: only a rebuild brings it to its place.");

    private static void AddKeys(NpgsqlBatchCommand command, IReadOnlyList<Document<TRow>> documents)
    {
        command.AddArray(documents.Select(d => d.Tenant).ToArray(), NpgsqlDbType.Varchar);
        command.AddArray(documents.Select(d => d.Key).ToArray(), NpgsqlDbType.Varchar);
    }

    private NpgsqlBatchCommand Upsert(Document<TRow>[] documents)
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
