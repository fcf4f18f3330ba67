using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>Turns each event into rows of an append-only table. A row that fails stops the whole projection: its order is its meaning.</summary>
internal sealed class RowProjection<TModel, TRow>(bool platform, JsonSerializerOptions json, bool beside = false)
    : Projection(TModel.Name, TModel.Version, platform, TModel.Types, TModel.Columns.All, TModel.Columns.Indexes, beside)
    where TModel : IRows<TRow> where TRow : class
{
    private readonly JsonSerializerOptions json = json;

    internal override (IReadOnlyList<(string Name, string Type)> Columns, int Key) Fixed => (
        [("tenant_id", "character varying"), ("position", "bigint"), ("ordinal", "integer"), ("doc", "jsonb")], 3);

    internal override bool StopsAsAWhole => true;

    internal override Fold Begin(EventPage page, IReadOnlySet<long> skips) => new Work(this, page, skips);

    internal override Projection Beside() => new RowProjection<TModel, TRow>(Platform, json, beside: true);

    internal override BulkLoad Bulk(EventTypes types) => new RowLoad<TModel, TRow>(this, types, json);

    private sealed record Row(string Json, object?[] Values);

    private sealed record Rows(string Tenant, long Position, IReadOnlyList<Row> All) : FromEvent(Tenant, Position);

    private sealed class Work(RowProjection<TModel, TRow> projection, EventPage page, IReadOnlySet<long> skips) : OrderedFold<Rows>(projection, page, skips, projection.TenantOf)
    {
        private readonly RowProjection<TModel, TRow> projection = projection;

        protected override Rows? Make(PageEvent e)
        {
            if (e.Unreadable is not null && TModel.NeedsData) throw e.Unreadable;
            var made = TModel.Project(e.Event).Select(r => new Row(JsonSerializer.Serialize(r, projection.json), projection.ValuesOf(r))).ToArray();
            return made.Length > 0 ? new Rows(projection.TenantOf(e.Event), e.Event.Position, made) : null;
        }

        public override void AddWrites(NpgsqlBatch batch, IReadOnlyList<object> units)
        {
            var all = units.Cast<Rows>().SelectMany(r => r.All.Select((row, i) => (r.Tenant, r.Position, Ordinal: i, Row: row))).ToArray();
            if (all.Length == 0) return;
            var command = new NpgsqlBatchCommand(projection.InsertSql(""));
            command.AddArray(all.Select(r => r.Tenant).ToArray(), NpgsqlDbType.Varchar);
            command.AddArray(all.Select(r => r.Position).ToArray(), NpgsqlDbType.Bigint);
            command.AddArray(all.Select(r => r.Ordinal).ToArray(), NpgsqlDbType.Integer);
            command.AddArray(all.Select(r => r.Row.Json).ToArray(), NpgsqlDbType.Jsonb);
            projection.AddColumns(command, all.Select(r => r.Row.Values).ToArray());
            batch.BatchCommands.Add(command);
        }
    }
}
