using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace Nubabel.Store;

/// <summary>A message of a fan-out and what it is of.</summary>
/// <param name="Route">The stream that made the route.</param>
/// <param name="Id">The message's.</param>
public sealed record Sent<TRoute>(string Route, TRoute To, Recorded Event, Guid Id);

/// <summary>
/// Sends facts to whoever has a route. Routes are made and changed by events of the same log, folded in its order, and written with the checkpoint: so each
/// route gets exactly the events between those that make it and end it, once each, and a tenant without routes costs nothing. A rebuild knows no fan-outs.
/// </summary>
public interface IFanOut<TRoute> where TRoute : class
{
    /// <summary>The name of its checkpoint. Under another name it begins anew, with the first event that makes a route.</summary>
    static abstract string Name { get; }

    /// <summary>The aliases of what is sent.</summary>
    static abstract IReadOnlyList<string> Types { get; }

    /// <summary>The aliases of what makes, changes and ends routes; a route is named by its stream.</summary>
    static abstract IReadOnlyList<string> RouteTypes { get; }

    /// <summary>The route after an event of its stream; null for none.</summary>
    static abstract TRoute? Evolve(TRoute? route, Recorded e);

    /// <summary>Whether the event ends all routes of its tenant.</summary>
    static virtual bool EndsAll(Recorded e) => false;

    /// <summary>What is sent to a route because of an event; null for nothing. Pure. It may come without its data, where that does not fit its type.</summary>
    static abstract Message? Send(string route, TRoute to, Recorded e);

    /// <summary>What is written with the messages, in their transaction; null for nothing. All of <paramref name="sent"/> in one statement.</summary>
    static virtual Sql? Note(IReadOnlyList<Sent<TRoute>> sent) => null;
}

/// <summary>Makes fan-outs for the daemon; see <see cref="ProjectionSet.With"/>.</summary>
public static class FanOut
{
    /// <param name="outbox">Where its messages go.</param>
    /// <param name="json">How routes are written.</param>
    public static Projection Of<TFanOut, TRoute>(Outbox outbox, JsonSerializerOptions json) where TFanOut : IFanOut<TRoute> where TRoute : class =>
        new FanOutProjection<TFanOut, TRoute>(outbox, json);
}

/// <summary>A fan-out as the daemon sees it. Like a reaction, it stops before an event that it cannot get over.</summary>
internal sealed class FanOutProjection<TFanOut, TRoute>(Outbox outbox, JsonSerializerOptions json)
    : Projection(TFanOut.Name, 1, false, [.. TFanOut.Types.Union(TFanOut.RouteTypes)], [], []) where TFanOut : IFanOut<TRoute> where TRoute : class
{
    private static readonly HashSet<string> OfRoutes = [.. TFanOut.RouteTypes];
    private static readonly HashSet<string> Sends = [.. TFanOut.Types];

    private readonly Outbox outbox = outbox;
    private readonly JsonSerializerOptions json = json;

    internal override (IReadOnlyList<(string Name, string Type)> Columns, int Key) Fixed => throw new NotSupportedException($"{Name} is a fan-out and has no table.");

    internal override bool StopsAsAWhole => true;
    internal override bool StartsNow => true;

    // A route may have been made before any process ran this.
    internal override IReadOnlyList<string> BeginsWith => TFanOut.RouteTypes;

    internal override Fold Begin(EventPage page, IReadOnlySet<long> skips) => new Work(this, page, skips);

    /// <summary>What one event led to: changed routes, null for ended ones, and messages.</summary>
    private sealed record Step(string Tenant, long Position, IReadOnlyList<(string Route, TRoute? To)> Routes, IReadOnlyList<Outgoing> Messages, IReadOnlyList<Sent<TRoute>> Sent);

    private sealed class Work : Fold
    {
        private readonly FanOutProjection<TFanOut, TRoute> fanOut;
        private readonly PageEvent[] events;
        private readonly Dictionary<string, SortedDictionary<string, TRoute>> routes = [];
        private readonly List<Step> steps = [];
        private string stoppedTenant = "";

        public Work(FanOutProjection<TFanOut, TRoute> fanOut, EventPage page, IReadOnlySet<long> skips)
        {
            this.fanOut = fanOut;
            events = [.. page.Events.Where(e => fanOut.Wants(e.Event.Type) && !skips.Contains(e.Event.Position))];
            UpTo = page.To;
        }

        public override IReadOnlyList<object> Units => steps;

        public override void AddLoads(NpgsqlBatch batch)
        {
            if (events.Length == 0) return;
            var load = new NpgsqlBatchCommand("select tenant_id, route, doc from nubabel.routes where fan_out = $1 and tenant_id = any ($2)");
            load.Add(fanOut.Name);
            load.AddArray(events.Select(e => e.Event.Tenant).Distinct().ToArray(), NpgsqlDbType.Varchar);
            batch.BatchCommands.Add(load);
        }

        public override async Task ReadLoads(NpgsqlDataReader reader, CancellationToken ct)
        {
            if (events.Length == 0) return;
            while (await reader.ReadAsync(ct)) Of(reader.GetString(0))[reader.GetString(1)] = JsonSerializer.Deserialize<TRoute>(reader.GetString(2), fanOut.json)!;
            await reader.NextResultAsync(ct);
        }

        public override void Apply()
        {
            foreach (var e in events)
            {
                // The fan-out is foreign code: whatever it throws stops it and nothing else.
#pragma warning disable CA1031
                try
                {
                    if (Of(e) is { } step) steps.Add(step);
                }
                catch (Exception poison)
                {
                    StopBefore(e.Event.Tenant, e.Event.Position, $"{poison.GetType().Name}: {poison.Message}");
                    return;
                }
#pragma warning restore CA1031
            }
        }

        public override void AddWrites(NpgsqlBatch batch, IReadOnlyList<object> units)
        {
            var all = units.Cast<Step>().ToArray();
            // The last word on each route.
            var changed = all.SelectMany(s => s.Routes.Select(r => (s.Tenant, r.Route, r.To))).GroupBy(r => (r.Tenant, r.Route)).Select(g => g.Last()).ToArray();
            AddRoutes(batch, changed.Where(c => c.To is null).Select(c => (c.Tenant, c.Route)).ToArray(), changed.Where(c => c.To is not null).ToArray());
            var messages = all.SelectMany(s => s.Messages).ToArray();
            if (messages.Length == 0) return;
            batch.BatchCommands.Add(fanOut.outbox.Command(messages));
            if (TFanOut.Note([.. all.SelectMany(s => s.Sent)]) is { } note) batch.BatchCommands.Add(note.ToBatchCommand());
        }

        public override void AddStop(NpgsqlBatch batch)
        {
            if (StoppedBy is not { } reason) return;
            foreach (var command in Parking.Stop(fanOut, stoppedTenant, UpTo + 1, reason)) batch.BatchCommands.Add(command);
        }

        public override void Take(object unit, int steps, string? error)
        {
            var refused = (Step)unit;
            if (error is not null) StopBefore(refused.Tenant, refused.Position, error);
        }

        public override void Committed() => fanOut.outbox.Enqueued(steps.SelectMany(s => s.Messages).Select(m => m.Type.Queue).Distinct());

        private Step? Of(PageEvent e)
        {
            var of = Of(e.Event.Tenant);
            var changes = Change(e, of);
            if (!Sends.Contains(e.Event.Type) || of.Count == 0) return changes.Count == 0 ? null : new Step(e.Event.Tenant, e.Event.Position, changes, [], []);
            var origin = new Origin(e.Event.Actor ?? "system:fan-out", null, e.Event.CorrelationId, e.Event.Id.ToString());
            var messages = new List<Outgoing>();
            var sent = new List<Sent<TRoute>>();
            foreach (var (route, to) in of)
            {
                if (TFanOut.Send(route, to, e.Event) is not { } message) continue;
                var drafted = fanOut.outbox.Draft(e.Event.Tenant, message, origin, e.Event.At);
                messages.Add(drafted);
                sent.Add(new Sent<TRoute>(route, to, e.Event, drafted.Id));
            }
            return changes.Count + messages.Count == 0 ? null : new Step(e.Event.Tenant, e.Event.Position, changes, messages, sent);
        }

        private static List<(string, TRoute?)> Change(PageEvent e, SortedDictionary<string, TRoute> of)
        {
            if (!OfRoutes.Contains(e.Event.Type)) return [];
            if (e.Unreadable is not null) throw e.Unreadable;
            if (TFanOut.EndsAll(e.Event))
            {
                var ended = of.Keys.Select(route => (route, (TRoute?)null)).ToList();
                of.Clear();
                return ended;
            }
            var (before, stream) = (of.GetValueOrDefault(e.Event.Stream), e.Event.Stream);
            var after = TFanOut.Evolve(before, e.Event);
            if (Equals(before, after)) return [];
            if (after is null) of.Remove(stream);
            else of[stream] = after;
            return [(stream, after)];
        }

        private void AddRoutes(NpgsqlBatch batch, (string Tenant, string Route)[] ended, (string Tenant, string Route, TRoute? To)[] standing)
        {
            if (ended.Length > 0)
            {
                var delete = new NpgsqlBatchCommand("delete from nubabel.routes r using unnest($2::varchar[], $3::varchar[]) u (t, n) where r.fan_out = $1 and r.tenant_id = u.t and r.route = u.n");
                delete.Add(fanOut.Name);
                delete.AddArray(ended.Select(r => r.Tenant).ToArray(), NpgsqlDbType.Varchar);
                delete.AddArray(ended.Select(r => r.Route).ToArray(), NpgsqlDbType.Varchar);
                batch.BatchCommands.Add(delete);
            }
            if (standing.Length == 0) return;
            var upsert = new NpgsqlBatchCommand("""
                insert into nubabel.routes (fan_out, tenant_id, route, doc) select $1, u.* from unnest($2::varchar[], $3::varchar[], $4::jsonb[]) u
                on conflict (fan_out, tenant_id, route) do update set doc = excluded.doc
                """);
            upsert.Add(fanOut.Name);
            upsert.AddArray(standing.Select(r => r.Tenant).ToArray(), NpgsqlDbType.Varchar);
            upsert.AddArray(standing.Select(r => r.Route).ToArray(), NpgsqlDbType.Varchar);
            upsert.AddArray(standing.Select(r => JsonSerializer.Serialize(r.To, fanOut.json)).ToArray(), NpgsqlDbType.Jsonb);
            batch.BatchCommands.Add(upsert);
        }

        private SortedDictionary<string, TRoute> Of(string tenant)
        {
            if (!routes.TryGetValue(tenant, out var of)) routes[tenant] = of = new SortedDictionary<string, TRoute>(StringComparer.Ordinal);
            return of;
        }

        private void StopBefore(string tenant, long position, string error)
        {
            stoppedTenant = tenant;
            UpTo = position - 1;
            StoppedBy = $"event {position}: {error}";
        }
    }
}
