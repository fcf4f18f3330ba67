using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>A message with its envelope, ready to be written.</summary>
internal sealed record Outgoing(Guid Id, MessageType Type, string Tenant, Message Message, string Body, string Actor, string? CorrelationId, string? CausationId, string? Headers);

/// <summary>The way into the queues for a process: writes messages, and tells who waits for them.</summary>
public sealed class Outbox(MessageTypes types)
{
    /// <summary>So many messages without a key, enqueued together, share a lane: enough to be cheap, few enough to be spread over processes.</summary>
    private const int Together = 16;

    private const string Columns = "queue, tenant_id, lane, seq, id, type, body, key, subject, actor, correlation_id, causation_id, headers";
    private const string Values = "x.queue, x.tenant, case x.lane when '!' then '!' || x.seq else x.lane end, x.seq, x.id, x.type, x.body::jsonb, x.key, x.subject, x.actor, x.correlation, x.causation, x.headers::jsonb";
    private const string Given = "unnest($1::varchar[], $2::varchar[], $3::varchar[], $4::uuid[], $5::varchar[], $6::text[], $7::varchar[], $8::varchar[], $9::varchar[], $10::varchar[], $11::varchar[], $12::text[]";
    private const string Names = "queue, tenant, lane, id, type, body, key, subject, actor, correlation, causation, headers";

    // Numbers are drawn in the order of the messages: `order by` before nextval. The hints commit with the messages.
    private const string Plain = $"""
        with m as (
          insert into nubabel.messages ({Columns})
          select {Values} from (select y.*, nextval('nubabel.message_numbers') as seq from (select * from {Given}) with ordinality u ({Names}, n) order by n) y) x
          returning queue, tenant_id, lane, id),
        r as (insert into nubabel.ready_lanes (queue, tenant_id, lane) select distinct queue, tenant_id, lane from m)
        select array_agg(id) from m
        """;

    // The same for messages of several commits in one transaction: those whose first event has been written. The event's id says that it is this commit's own.
    private const string Guarded = $"""
        with m as (
          insert into nubabel.messages ({Columns})
          select {Values} from (
            select y.*, nextval('nubabel.message_numbers') as seq from (
              select u.* from {Given}, $13::varchar[], $14::bigint[], $15::uuid[]) with ordinality u ({Names}, stream, version, event, n)
               where (select e.id from events.mt_events e where e.tenant_id = u.tenant and e.stream_id = u.stream and e.version = u.version) = u.event order by n) y) x
          returning queue, tenant_id, lane, id),
        r as (insert into nubabel.ready_lanes (queue, tenant_id, lane) select distinct queue, tenant_id, lane from m)
        select count(*) from m
        """;

    // The ids come first and in one order, so that two who enqueue the same ids wait for each other and not in a circle.
    private const string Careful = $"""
        with g as materialized (
          select u.*, case when u.at is not null then u.at when u.after is not null then clock_timestamp() + u.after end as due
            from {Given}, $13::timestamptz[], $14::interval[], $15::varchar[]) with ordinality u ({Names}, at, after, once, n)),
        o as (
          insert into nubabel.message_ids (tenant_id, queue, once, id) select tenant, queue, once, id from g where once is not null order by tenant, queue, once, n
          on conflict do nothing returning id),
        f as materialized (
          select y.*, nextval('nubabel.message_numbers') as seq from (select * from g where once is null or id in (select id from o) order by n) y),
        m as (
          insert into nubabel.messages ({Columns}) select {Values} from f x where x.due is null or x.due <= clock_timestamp() returning queue, tenant_id, lane, id),
        d as (
          insert into nubabel.deferred_messages (due, {Columns}) select x.due, x.queue, x.tenant, x.lane, x.seq, x.id, x.type, x.body::jsonb, x.key, x.subject, x.actor, x.correlation, x.causation, x.headers::jsonb
            from f x where x.id not in (select id from m)),
        r as (insert into nubabel.ready_lanes (queue, tenant_id, lane) select distinct queue, tenant_id, lane from m)
        select array(select id from f)
        """;

    private readonly ConcurrentDictionary<string, Signal> signals = new();

    /// <summary>Queues that were written to since the last time this was asked.</summary>
    private readonly ConcurrentDictionary<string, bool> touched = new();


    private readonly ConcurrentDictionary<NpgsqlDataSource, Sends> sends = new();

    public MessageTypes Types => types;

    /// <summary>Set when something is enqueued here, for the carrier of hints to other processes.</summary>
    internal Signal Any { get; } = new();

    /// <summary>The hint that a queue may have something to take.</summary>
    internal Signal Of(string queue) => signals.GetOrAdd(queue, _ => new Signal());

    /// <summary>Something was committed to these queues by this process.</summary>
    internal void Enqueued(IEnumerable<string> queues)
    {
        var any = false;
        foreach (var queue in queues)
        {
            any = touched[queue] = true;
            Of(queue).Heard();
        }
        if (any) Any.Set();
    }

    internal IReadOnlyList<string> Touched() => [.. touched.Keys.Where(q => touched.TryRemove(q, out _))];

    /// <summary>Gives a message its envelope.</summary>
    /// <exception cref="ArgumentException">A name is too long, or times contradict.</exception>
    internal Outgoing Draft(string tenant, Message message, Origin origin, DateTimeOffset at)
    {
        if (message.Key?.Length > Message.LongestKey || message.Once?.Length > Message.LongestKey)
            throw new ArgumentException($"A key or a once-only id has at most {Message.LongestKey} characters.", nameof(message));
        if (message is { At: not null, After: not null }) throw new ArgumentException("A message is for a time or for a while from now, not for both.", nameof(message));
        Dictionary<string, string>? headers = message.Headers is null ? null : new(message.Headers);
        if (origin.TraceParent is { } trace) (headers ??= [])["traceparent"] = trace;
        return new Outgoing(message.Id ?? Guid.CreateVersion7(at), types.Of(message.Body), tenant, message, types.Write(message.Body),
            origin.Actor, origin.CorrelationId, origin.CausationId, headers is null ? null : JsonSerializer.Serialize(headers));
    }

    /// <summary>It can be taken as soon as it is written, and nothing that is there already keeps it out.</summary>
    internal static bool IsPlain(Outgoing message) => message.Message is { Once: null, At: null, After: null };

    /// <summary>The statement that writes the messages of those commits that have not been refused, behind the statement that has written these.</summary>
    internal NpgsqlBatchCommand Behind(IReadOnlyList<AppendItem> items)
    {
        var command = Filled(Guarded, [.. items.SelectMany(i => i.Enqueued!.Messages)]);
        var guards = items.SelectMany(i => i.Enqueued!.Messages, (item, _) => item).ToArray();
        command.AddArray(Array.ConvertAll(guards, i => i.Streams[0].Stream), NpgsqlDbType.Varchar);
        command.AddArray(Array.ConvertAll(guards, i => i.Streams[0].Expected + 1), NpgsqlDbType.Bigint);
        command.AddArray(Array.ConvertAll(guards, i => i.Drafts[0][0].Id), NpgsqlDbType.Uuid);
        return command;
    }

    /// <summary>The statement that writes them. Its one result is the ids of those that were written: a once-only id that is known already is left out.</summary>
    internal NpgsqlBatchCommand Command(IReadOnlyList<Outgoing> messages)
    {
        var careful = !messages.All(IsPlain);
        var command = Filled(careful ? Careful : Plain, messages);
        if (!careful) return command;
        command.AddArray(messages.Select(m => m.Message.At?.UtcDateTime).ToArray(), NpgsqlDbType.TimestampTz);
        command.AddArray(messages.Select(m => m.Message.After).ToArray(), NpgsqlDbType.Interval);
        command.AddArray(messages.Select(m => m.Message.Once).ToArray(), NpgsqlDbType.Varchar);
        return command;
    }

    private NpgsqlBatchCommand Filled(string text, IReadOnlyList<Outgoing> messages)
    {
        var command = new NpgsqlBatchCommand(text);
        Texts(m => m.Type.Queue);
        Texts(m => m.Tenant);
        command.AddArray(Lanes(messages), NpgsqlDbType.Varchar);
        command.AddArray(messages.Select(m => m.Id).ToArray(), NpgsqlDbType.Uuid);
        Texts(m => m.Type.Alias);
        command.AddArray(messages.Select(m => m.Body).ToArray(), NpgsqlDbType.Text);
        Texts(m => m.Message.Key);
        Texts(m => m.Message.Subject);
        Texts(m => m.Actor);
        Texts(m => m.CorrelationId);
        Texts(m => m.CausationId);
        command.AddArray(messages.Select(m => m.Headers).ToArray(), NpgsqlDbType.Text);
        return command;

        void Texts(Func<Outgoing, string?> text) => command.AddArray(messages.Select(text).ToArray(), NpgsqlDbType.Varchar);
    }

    /// <summary>Writes messages of one tenant now, in a transaction that they may share with others'. Returns the ids of those that were written.</summary>
    /// <exception cref="OperationCanceledException">They may have been written, or not.</exception>
    internal Task<IReadOnlyList<Guid>> Send(NpgsqlDataSource source, string tenant, IReadOnlyList<Outgoing> messages, CancellationToken ct) =>
        sends.GetOrAdd(source, s => new Sends(s, this)).Send(tenant, messages).WaitAsync(ct);

    /// <summary>The lane of a key begins with <c>k:</c>, one that messages without a key share with <c>~</c>, and one that is a message's own with <c>!</c>.</summary>
    private string[] Lanes(IReadOnlyList<Outgoing> messages)
    {
        var lanes = new string[messages.Count];
        var shared = new Dictionary<(string Queue, string Tenant), (string Lane, int Left)>();
        for (var i = 0; i < messages.Count; i++)
        {
            var m = messages[i];
            if (m.Message.Key is { } key)
            {
                lanes[i] = $"k:{key}";
                continue;
            }
            var count = types.Queue(m.Type.Queue).Lanes;
            if (count == 0)
            {
                lanes[i] = "!";
                continue;
            }
            if (!shared.TryGetValue((m.Type.Queue, m.Tenant), out var lane) || lane.Left == 0)
                lane = ($"~{Random.Shared.Next(count).ToString(CultureInfo.InvariantCulture)}", Together);
            lanes[i] = lane.Lane;
            shared[(m.Type.Queue, m.Tenant)] = lane with { Left = lane.Left - 1 };
        }
        return lanes;
    }
}
