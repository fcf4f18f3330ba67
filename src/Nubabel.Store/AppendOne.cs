using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// The statement of one stream with its events and nothing else. A refusal is a row that does not come back.
/// </summary>
internal static class AppendOne
{
    private const string InsertEvents = """
        insert into events.mt_events (seq_id, id, stream_id, version, data, type, timestamp, tenant_id, mt_dotnet_type, correlation_id, causation_id, headers, user_name)
        """;

    // JSON comes as text and is read in the statement: a text that jsonb refuses fails when it runs. Refused while it is bound, the driver would take a statement
    // that it was just preparing for one without a result, and break the next commit on the connection.
    // Numbers are drawn in the order of the events: `order by` before nextval. $3 kind or expected version, $4 count of events.
    private const string EventsOfOne = $"""
        e as (
          {InsertEvents}
          select nextval('events.mt_events_sequence'), x.id, $2, (select version from s) - $4 + x.n, x.data::jsonb, x.type, $5, $1, x.dotnet, $10, $11, x.headers::jsonb, $13
            from (select * from unnest($6, $7, $8, $9, $12) with ordinality u (id, data, type, dotnet, headers, n) order by n) x
           where exists (select from s)
          returning seq_id)
        select (select version from s), (select array_agg(seq_id order by seq_id) from e)
        """;

    private const string New = $"""
        with s as (
          insert into events.mt_streams (tenant_id, id, type, version, timestamp, created) values ($1, $2, $3, $4, $5, $5)
          on conflict do nothing returning version),
        {EventsOfOne}
        """;

    private const string Exact = $"""
        with s as (
          update events.mt_streams set version = $3 + $4, timestamp = $5
           where tenant_id = $1 and id = $2 and version = $3 and is_archived is not true returning version),
        {EventsOfOne}
        """;

    private const string AnyVersion = $"""
        with s as (
          insert into events.mt_streams as m (tenant_id, id, type, version, timestamp, created) values ($1, $2, $3, $4, $5, $5)
          on conflict (tenant_id, id) do update set version = coalesce(m.version, 0) + $4, timestamp = $5 where m.is_archived is not true returning version),
        {EventsOfOne}
        """;

    public static NpgsqlBatchCommand Command(AppendItem item)
    {
        var (append, events, envelope) = (item.Streams[0], item.Drafts[0], item.Envelope);
        var command = new NpgsqlBatchCommand(append.Expected switch { StreamAppend.None => New, StreamAppend.Any => AnyVersion, _ => Exact });
        var p = command.Parameters;
        p.Of(envelope.Tenant);
        p.Of(append.Stream);
        if (append.Expected > 0) p.Of(append.Expected);
        else p.Of(append.Kind);
        p.Of((long)events.Length);
        p.Of(envelope.At.UtcDateTime);
        p.Of(Array.ConvertAll(events, e => e.Id));
        p.Of(Array.ConvertAll(events, e => e.Json));
        p.Of(Array.ConvertAll(events, e => e.Type.Alias));
        p.Of(Array.ConvertAll(events, e => e.Type.DotNetName));
        p.Of(envelope.CorrelationId);
        p.Of(envelope.CausationId);
        p.Of(Array.ConvertAll(events, e => e.Headers));
        p.Of(envelope.Actor);
        return command;
    }

    internal static void Of<T>(this NpgsqlParameterCollection parameters, T value) => parameters.Add(new NpgsqlParameter<T> { TypedValue = value });

}
