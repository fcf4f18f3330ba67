using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Messages;
using Nubabel.Domain;
using Nubabel.Domain.Messages;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>Works on dead letters at the machine: the same acts as over HTTP, events included, also without a running server.</summary>
internal static class LetterVerbs
{
    private const int PageSize = 200;
    private static readonly JsonSerializerOptions Indented = new(Json.Options) { WriteIndented = true };

    public static Command All() => new("dead-letters", "Messages that were given up.") { List(), Show(), Act(SweepKind.Replay), Act(SweepKind.Discard), Export(), Stats() };

    private static Command List()
    {
        var (wanted, limit) = (new LetterOptions(), new Option<int>("--limit") { Description = "So many at most.", DefaultValueFactory = _ => PageSize });
        var verb = wanted.On(new Command("list", "Show dead letters, the newest first.") { wanted.State, limit });
        return Doing(verb, async (parsed, node, acts, ct) =>
        {
            var (filter, left) = (wanted.Filter(parsed), parsed.GetValue(limit));
            (DateTimeOffset, Guid)? after = null;
            Console.WriteLine($"{"id",-36} {"died (UTC)",-19} {"state",-9} {"queue",-12} {"type",-20} {"tries",5} {"cause",-24} error");
            while (left > 0 && await acts.Letters.List(filter, after, Math.Min(left, PageSize), ct) is { Count: > 0 } page)
            {
                foreach (var l in page)
                    Console.WriteLine($"{l.Id,-36} {l.Died:yyyy-MM-dd HH:mm:ss} {Word(l.State),-9} {l.Queue,-12} {l.Type,-20} {l.Attempts,5} {l.Cause,-24} {l.Error?.ReplaceLineEndings(" ")}");
                (left, after) = (left - page.Count, (page[^1].Died, page[^1].Id));
            }
            return 0;
        });
    }

    private static Command Show()
    {
        var (id, personal) = (new Argument<Guid>("id") { Description = "Which letter." }, new Option<bool>("--personal") { Description = "Open its personal values. That is recorded." });
        return Doing(new Command("show", "Show a dead letter: body, headers and every attempt. That you looked is recorded.") { id, personal }, async (parsed, node, acts, ct) =>
        {
            var letter = await acts.Read(parsed.GetValue(id), parsed.GetValue(personal), Journal(node, null), ct);
            var json = await LetterViews.Render(letter, parsed.GetValue(personal) ? node.Node.Reader(letter.Tenant) : null, node.Node, node.Settings, ct);
            Console.WriteLine(JsonSerializer.Serialize(JsonElement.Parse(json.Span), Indented));
            return 0;
        });
    }

    private static Command Act(SweepKind kind)
    {
        var (ids, wanted) = (new Argument<Guid[]>("id") { Description = "Which letters; none where a filter or --all says it.", Arity = ArgumentArity.ZeroOrMore }, new LetterOptions());
        var (all, yes) = (new Option<bool>("--all") { Description = "Every dead letter there is." }, new Option<bool>("--yes") { Description = "Do not ask." });
        var dry = new Option<bool>("--dry-run") { Description = "Only say how many it would be." };
        var reason = new Option<string?>("--reason") { Description = "Why; it stands in the audit trail for good.", Required = kind is SweepKind.Discard };
        var body = new Option<string?>("--body") { Description = "Another body for the one letter: a file of JSON. The original is kept." };
        var verb = wanted.On(kind is SweepKind.Replay
            ? new Command("replay", "Have dead letters handled once more.") { ids, all, dry, yes, reason, body }
            : new Command("discard", "Leave dead letters unhandled for good; keys that they hold go on.") { ids, all, dry, yes, reason });
        return Doing(verb, async (parsed, node, acts, ct) =>
        {
            var why = parsed.GetValue(reason) is { } text ? Reason.Parse(text) : null;
            var filter = wanted.Filter(parsed);
            var named = parsed.GetValue(ids) is { Length: > 0 } some ? some.Select(i => new Id<DeadLetterControl>(i)).ToArray() : null;
            var wish = new LettersWanted(named, filter.Tenant, filter.Queue, filter.Type, filter.Cause, filter.From, filter.To, parsed.GetValue(all), why);
            if (kind is SweepKind.Replay && parsed.GetValue(body) is { } file) return await Edited(wish, file, node, acts, ct);
            return await Many(kind, wish, parsed.GetValue(dry), parsed.GetValue(yes), node, acts, ct);
        });
    }

    private static async Task<int> Edited(LettersWanted wish, string file, Opened node, LetterActs acts, CancellationToken ct)
    {
        if (wish.Ids is not [var id]) return Verbs.Fail("--body is for one letter, named by its id.");
        JsonElement body;
        try
        {
            body = JsonElement.Parse(await File.ReadAllBytesAsync(file, ct));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return Verbs.Fail($"{file}: {e.Message}");
        }
        var (letter, _) = await acts.Replay(id.Value, body, wish.Reason, Journal(node, wish.Reason), ct);
        Console.WriteLine($"{letter.Id} is {Word(letter.State)}.");
        return 0;
    }

    /// <summary>Counted first, then asked, then done with a bar that shows how far it is. A server that runs helps; nothing is done twice.</summary>
    private static async Task<int> Many(SweepKind kind, LettersWanted wish, bool dry, bool yes, Opened node, LetterActs acts, CancellationToken ct)
    {
        var selection = wish.Selection();
        var (count, _) = await acts.Letters.Count(LetterActs.FilterOf(selection), ct);
        var what = kind is SweepKind.Replay ? "replayed" : "discarded";
        if (dry || count == 0)
        {
            Console.WriteLine($"{count} dead letters would be {what}.");
            return 0;
        }
        if (!yes && !await Prompt.Yes($"{count} dead letters will be {what}. Go on?", ct)) return Verbs.Fail("Nothing was done. --yes answers the question.");
        var journal = Journal(node, wish.Reason);
        var ordered = await acts.Order(new Id<LetterSweep>(Guid.CreateVersion7()), kind, selection, wish.Reason, journal, ct);
        Outcome<LetterSweep> done;
        using (var bar = new ProgressBar(what, "letters")) done = await acts.Do(ordered.Id, p => bar.Show(p.Done, Math.Max(p.Done, count)), Journal(node, wish.Reason), ct);
        Console.WriteLine($"{done.State.Done} dead letters were {what}.");
        return 0;
    }

    private static Command Export()
    {
        var (wanted, personal) = (new LetterOptions(), new Option<bool>("--personal") { Description = "With personal values opened. That is recorded." });
        var file = new Option<string>("--out") { Description = "The file to write; - is standard output.", DefaultValueFactory = _ => "-" };
        var verb = wanted.On(new Command("export", "Write dead letters to a file, one a line, the oldest first. That is recorded.") { wanted.State, personal, file });
        return Doing(verb, (parsed, node, acts, ct) => EventVerbs.WithFile(async () =>
        {
            var (path, opens) = (parsed.GetValue(file)!, parsed.GetValue(personal));
            var sweep = new Id<LetterSweep>(Guid.CreateVersion7());
            await using var to = path == "-" ? Console.OpenStandardOutput() : File.Create(path);
            var written = 0L;
            await acts.Export(sweep, wanted.Filter(parsed), opens, Journal(node, null), ct);
            try
            {
                await foreach (var letter in acts.Letters.All(wanted.Filter(parsed), ct))
                {
                    await to.WriteAsync(await LetterViews.Render(letter, opens ? node.Node.Reader(letter.Tenant) : null, node.Node, node.Settings, ct), ct);
                    to.WriteByte((byte)'\n');
                    written++;
                }
            }
            finally
            {
                await Journal(node, null).Handle(sweep, new EndSweep(written), CancellationToken.None);
            }
            await Console.Error.WriteLineAsync($"{written} dead letters were written.");
            return 0;
        }));
    }

    private static Command Stats()
    {
        var wanted = new LetterOptions();
        return Doing(wanted.On(new Command("stats", "Count dead letters by queue, type, cause and age, and day by day.")), async (parsed, _, acts, ct) =>
        {
            var s = await acts.Letters.Statistics(wanted.Filter(parsed), 30, ct);
            Console.WriteLine($"{s.Dead} dead, {s.Replayed} replayed, {s.Discarded} discarded; the oldest open one is {ProgressBar.Span(TimeSpan.FromSeconds(s.OldestSeconds))} old.");
            foreach (var (title, counts) in new[] { ("queue", s.ByQueue), ("type", s.ByType), ("cause", s.ByCause), ("age", s.ByAge) })
                foreach (var c in counts) Console.WriteLine($"{title,-12} {c.Name,-32} {c.Letters,10}");
            foreach (var d in s.PerDay) Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{d.Day:yyyy-MM-dd}   died {d.Died,8}  replayed {d.Replayed,8}  discarded {d.Discarded,8}"));
            return 0;
        });
    }

    private static string Word(DeadLetterState state) => JsonNamingPolicy.CamelCase.ConvertName(state.ToString());

    private static Journal Journal(Opened node, Reason? reason) => node.Node.Journal(Node.Platform, new Origin("system:command-line", Reason: reason?.Value));

    private static Command Doing(Command verb, Func<ParseResult, Opened, LetterActs, CancellationToken, Task<int>> act)
    {
        verb.SetAction((parsed, ct) => Verbs.Guarded(async () =>
        {
            await using var node = await Opened.Open(ct);
            try
            {
                return await act(parsed, node, new LetterActs(node.Node), ct);
            }
            catch (Exception e) when (e is Problem or Refused)
            {
                return Verbs.Fail(e.Message);
            }
        }));
        return verb;
    }

    /// <summary>Which letters, as the options of a verb.</summary>
    private sealed class LetterOptions
    {
        private readonly Option<string?> tenant = new("--tenant") { Description = "Whose: the id of an organization, or *DEFAULT*." };
        private readonly Option<string?> queue = new("--queue") { Description = "Of this queue." };
        private readonly Option<string?> type = new("--type") { Description = "Of this type of message." };
        private readonly Option<string?> cause = new("--cause") { Description = "That died of this kind of error." };
        private readonly Option<string?> from = new("--from") { Description = "That died at this time or later (2026-01-31T12:00:00Z)." };
        private readonly Option<string?> to = new("--to") { Description = "That died before this time." };

        public Option<string?> State { get; } = new("--state") { Description = "dead, replayed or discarded." };

        public Command On(Command verb)
        {
            foreach (var option in new[] { tenant, queue, type, cause, from, to }) verb.Add(option);
            return verb;
        }

        public DeadLetterFilter Filter(ParseResult parsed) => LetterViews.FilterOf(
            parsed.GetValue(tenant), parsed.GetValue(queue), parsed.GetValue(type), parsed.GetValue(cause), parsed.GetValue(from), parsed.GetValue(to), parsed.GetResult(State) is null ? null : parsed.GetValue(State));
    }
}
