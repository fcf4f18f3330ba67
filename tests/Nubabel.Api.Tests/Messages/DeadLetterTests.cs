using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Mail;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Messages;

/// <summary>Dead letters over HTTP, on the server that all tests share; each test has an organization and letters of its own.</summary>
public sealed class DeadLetterTests : IAsyncLifetime
{
    private const string Letters = "/api/admin/dead-letters";
    private TestApi api = null!;
    private HttpClient op = null!;

    public async Task InitializeAsync()
    {
        api = await TestApi.Shared;
        op = await api.Operator();
    }

    public Task DisposeAsync()
    {
        op.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task A_letter_is_listed_read_replayed_once_and_each_act_is_audited()
    {
        var acme = await api.SignUp();
        var (id, address) = await Buried(acme);
        var line = Assert.Single(await op.Items($"{Letters}?tenant={acme.Id}&state=dead&queue=mail&type=letter&cause=NotCarried"));
        Assert.Equal((id.ToString(), "dead", 1, "The mail server does not answer."), (line.Text("id"), line.Text("state"), line.GetProperty("attempts").GetInt32(), line.Text("error")));
        Assert.Empty(await op.Items($"{Letters}?tenant={acme.Id}&cause=Other"));
        Assert.Empty(await op.Items($"{Letters}?tenant={acme.Id}&to=2026-01-01T00:00:00Z"));

        var letter = await op.GetAsync($"{Letters}/{id}").Json();
        Assert.Equal((true, "here", "NotCarried"), (letter.GetProperty("isKnown").GetBoolean(), letter.GetProperty("headers").Text("from"), letter.GetProperty("attempts")[0].Text("cause")));
        Assert.Equal(1, letter.GetProperty("body").GetProperty("letter").GetProperty("$p").GetInt32());
        Assert.DoesNotContain(address, letter.GetRawText(), StringComparison.Ordinal);

        Assert.Equal("replayed", (await op.Post($"{Letters}/{id}/replay", new { reason = "it is back" }).Json()).Text("state"));
        await Burst.Until("the letter is delivered", TimeSpan.FromSeconds(20), () => Task.FromResult(api.LettersTo(address).Count > 0));
        await op.Post($"{Letters}/{id}/replay", new { }).Refused(409, "dead_letter.closed");
        await op.Post($"{Letters}/{id}/discard", new { reason = "too late" }).Refused(409, "dead_letter.closed");
        Assert.Equal(["dead_letter.read", "dead_letter.replayed"], await Audited($"dead-letter-{id}"));
    }

    [Fact]
    public async Task Personal_values_are_opened_on_purpose_by_people_and_that_is_recorded()
    {
        var acme = await api.SignUp();
        var (id, address) = await Buried(acme);
        Assert.Contains(address, (await op.GetAsync($"{Letters}/{id}?personal=open").Json()).GetProperty("body").Text("letter"), StringComparison.Ordinal);
        Assert.True(await api.Database.Scalar<bool>($"select (data->>'opened')::boolean from events.mt_events where tenant_id = '*DEFAULT*' and stream_id = 'dead-letter-{id}'"));
        await op.GetAsync($"{Letters}/{id}?personal=all").Refused(400, "query.invalid");
        // A key does not hold that permission.
        var made = await op.Post("/api/admin/api-keys", new { name = $"k{Guid.NewGuid():N}", scopes = new[] { "platform:messages" } }).Json(HttpStatusCode.Created);
        using var key = api.As(made.Text("key"));
        Assert.Equal("platform:messages-personal", (await key.GetAsync($"{Letters}/{id}?personal=open").Refused(403, "permission.denied")).Text("required"));
        await key.Post($"{Letters}/{id}/replay", new { }).Refused(403, "permission.denied");
        await key.GetAsync($"{Letters}/{id}").Json();
    }

    [Fact]
    public async Task Members_have_no_way_to_letters_not_even_to_their_own()
    {
        var acme = await api.SignUp();
        var (id, _) = await Buried(acme);
        Assert.Equal("platform:messages", (await acme.Client.GetAsync(Letters).Refused(403, "permission.denied")).Text("required"));
        await acme.Client.GetAsync($"{Letters}/{id}").Refused(403, "permission.denied");
        await acme.Client.Post($"{Letters}/{id}/discard", new { reason = "mine" }).Refused(403, "permission.denied");
        await acme.Client.GetAsync("/api/admin/dlq").Refused(403, "permission.denied");
        await op.GetAsync($"{Letters}/{Guid.CreateVersion7()}").Refused(404, "dead_letter.missing");
        await op.GetAsync($"{Letters}/none").Refused(404, "dead_letter.missing");
    }

    [Fact]
    public async Task A_body_of_the_wrong_shape_is_refused_and_nothing_is_lost()
    {
        var acme = await api.SignUp();
        var (id, address) = await Buried(acme);
        object[] wrong = [new { letter = "in the clear" }, new { letters = 1 }, new { }, 7];
        foreach (var body in wrong) await op.Post($"{Letters}/{id}/replay", new { body }).Refused(422, "dead_letter.body_invalid");
        var letter = await op.GetAsync($"{Letters}/{id}").Json();
        Assert.Equal(("dead", 0), (letter.Text("state"), letter.GetProperty("replays").GetInt32()));
        Assert.Equal(["dead_letter.read"], await Audited($"dead-letter-{id}"));

        // As it stands it fits; the original is kept.
        var done = await op.Post($"{Letters}/{id}/replay", new { body = letter.GetProperty("body") }).Json();
        Assert.Equal("replayed", done.Text("state"));
        await Burst.Until("the letter is delivered", TimeSpan.FromSeconds(20), () => Task.FromResult(api.LettersTo(address).Count > 0));
        Assert.True((await op.GetAsync($"{Letters}/{id}").Json()).TryGetProperty("edited", out _));
    }

    [Fact]
    public async Task A_letter_of_a_type_that_this_build_does_not_know_is_shown_and_discarded_but_not_edited()
    {
        var acme = await api.SignUp();
        var (id, _) = await Buried(acme, type: "nobody_knows");
        Assert.False((await op.GetAsync($"{Letters}/{id}").Json()).GetProperty("isKnown").GetBoolean());
        await op.Post($"{Letters}/{id}/replay", new { body = new { } }).Refused(422, "dead_letter.body_invalid");
        await op.Post($"{Letters}/{id}/discard", new { }).Refused(400, "json.missing_member");
        Assert.Equal("discarded", (await op.Post($"{Letters}/{id}/discard", new { reason = "an old type" }).Json()).Text("state"));
    }

    [Fact]
    public async Task Many_are_counted_first_then_replayed_or_discarded()
    {
        var acme = await api.SignUp();
        var ids = new List<Guid>();
        for (var i = 0; i < 4; i++) ids.Add((await Buried(acme)).Id);
        await op.Post($"{Letters}/replay", new { }).Refused(422, "letter_sweep.selection_invalid");
        await op.Post($"{Letters}/replay", new { all = true, queue = "mail" }).Refused(422, "letter_sweep.selection_invalid");
        await op.Post($"{Letters}/discard", new { tenant = acme.Id }).Refused(422, "letter_sweep.reason_required");
        Assert.Equal(4, (await op.Post($"{Letters}/replay?dryRun=true", new { tenant = acme.Id }).Json()).GetProperty("count").GetInt64());
        Assert.Equal(4, (await op.Items($"{Letters}?tenant={acme.Id}&state=dead")).Count);

        var act = (await op.Post("/api/admin/dlq/discard", new { ids = ids.Take(1), reason = "the account is gone" }).Json()).GetProperty("act");
        Assert.Equal((1, 1, true, "the account is gone"), (act.GetProperty("expected").GetInt64(), act.GetProperty("done").GetInt64(), act.GetProperty("hasEnded").GetBoolean(), act.Text("reason")));
        var all = (await op.Post($"{Letters}/replay", new { tenant = acme.Id, cause = "NotCarried" }).Json()).GetProperty("act");
        Assert.Equal((3, "replay"), (all.GetProperty("done").GetInt64(), all.Text("kind")));
        Assert.Equal(all.GetRawText(), (await op.GetAsync($"{Letters}/sweeps/{all.Text("id")}").Json()).GetRawText());
        Assert.Equal(["letter_sweep.ended", "letter_sweep.started"], await Audited($"letter-sweep-{all.Text("id")}"));
        Assert.Empty(await op.Items($"{Letters}?tenant={acme.Id}&state=dead"));

        var told = await op.GetAsync($"{Letters}/statistics?tenant={acme.Id}&days=2").Json();
        Assert.Equal((0, 3, 1), (told.GetProperty("dead").GetInt64(), told.GetProperty("replayed").GetInt64(), told.GetProperty("discarded").GetInt64()));
        await op.GetAsync($"{Letters}/sweeps/{Guid.CreateVersion7()}").Refused(404, "letter_sweep.missing");
    }

    [Fact]
    public async Task A_repeated_order_is_answered_from_the_first_one_and_pages_go_through_all()
    {
        var acme = await api.SignUp();
        var ids = new List<Guid>();
        for (var i = 0; i < 3; i++) ids.Add((await Buried(acme, died: $"now() - interval '{3 - i} minutes'")).Id);
        var first = await op.GetAsync($"{Letters}?tenant={acme.Id}&limit=2").Json();
        var second = await op.GetAsync($"{Letters}?tenant={acme.Id}&limit=2&cursor={Uri.EscapeDataString(first.Text("next"))}").Json();
        Assert.Equal(ids.AsEnumerable().Reverse().Select(i => i.ToString()), first.GetProperty("items").EnumerateArray().Concat(second.GetProperty("items").EnumerateArray()).Select(l => l.Text("id")));

        async Task<JsonElement> Ask(string path, object body)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Headers = { { "Idempotency-Key", $"once-{ids[0]}-{path.Length}" } }, Content = JsonContent.Create(body) };
            return await op.SendAsync(request).Json();
        }
        var done = await Ask($"{Letters}/{ids[0]}/discard", new { reason = "once" });
        Assert.Equal(done.GetRawText(), (await Ask($"{Letters}/{ids[0]}/discard", new { reason = "once" })).GetRawText());
        var act = await Ask($"{Letters}/discard", new { tenant = acme.Id, reason = "once" });
        Assert.Equal(2, act.GetProperty("act").GetProperty("done").GetInt64());
        Assert.Equal(act.GetRawText(), (await Ask($"{Letters}/discard", new { tenant = acme.Id, reason = "once" })).GetRawText());
    }

    [Fact]
    public async Task Letters_are_exported_line_by_line_and_the_export_is_audited()
    {
        var acme = await api.SignUp();
        var ids = new List<string>();
        for (var i = 0; i < 3; i++) ids.Add((await Buried(acme, died: $"now() - interval '{3 - i} minutes'")).Id.ToString());
        using var answer = await op.GetAsync($"{Letters}/export?tenant={acme.Id}");
        Assert.Equal("application/x-ndjson", answer.Content.Headers.ContentType!.MediaType);
        var lines = (await answer.Content.ReadAsStringAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonElement.Parse(l)).ToArray();
        Assert.Equal(ids, lines.Select(l => l.Text("id")));
        Assert.All(lines, l => Assert.True(l.GetProperty("body").GetProperty("letter").TryGetProperty("$p", out _)));
        await Burst.Until("the export has ended", TimeSpan.FromSeconds(10), () => api.Database.Scalar<bool>($"""
            select exists (select from events.mt_events s join events.mt_events e using (tenant_id, stream_id) where s.type = 'letter_sweep_started' and s.data->'selection'->>'tenant' = '{acme.Id}'
              and s.data->>'kind' = 'export' and e.type = 'letter_sweep_ended' and e.data->>'done' = '3')
            """));
    }

    [Fact]
    public async Task An_order_whose_process_died_before_its_effect_is_carried_out()
    {
        var acme = await api.SignUp();
        var (single, address) = await Buried(acme);
        var (bulk, second) = await Buried(acme, cause: "Bulk");
        var node = api.Services.GetRequiredService<Node>();
        // The event and its message are committed, as a request does it, and then the process is gone.
        var journal = node.Journal(Node.Platform, new Origin("operator:dead"));
        journal.Enqueue(new Message(new Api.Messages.LetterOrder(single, true, 0)) { After = TimeSpan.FromMilliseconds(50) });
        await journal.Handle(new Id<Domain.Messages.DeadLetterControl>(single), new Domain.Messages.ReplayDeadLetter(acme.Id, "mail", "letter", 0), default);
        await new Api.Messages.LetterActs(node).Order(
            new Id<Domain.Messages.LetterSweep>(Guid.CreateVersion7()), Domain.Messages.SweepKind.Replay, new Domain.Messages.LetterSelection(Tenant: acme.Id, Cause: "Bulk"), null, node.Journal(Node.Platform, new Origin("operator:dead")), default);
        await Burst.Until("both are delivered", TimeSpan.FromSeconds(30), () => Task.FromResult(api.LettersTo(address).Count > 0 && api.LettersTo(second).Count > 0));
        Assert.Equal("operator:dead", await api.Database.Scalar<string>($"select closed_by from nubabel.dead_letters where id = '{bulk}'"));
        await Burst.Until("the act has ended", TimeSpan.FromSeconds(10), () => api.Database.Scalar<bool>("select exists (select from events.mt_events where type = 'letter_sweep_ended' and user_name = 'operator:dead')"));
    }

    [Fact]
    public async Task An_erased_person_leaves_no_letter_behind()
    {
        var acme = await api.SignUp();
        var (id, _) = await Buried(acme);
        await api.Services.GetRequiredService<MessageDaemon>().Erase(acme.Id, $"user-{acme.User}", default);
        await op.Post($"{Letters}/{id}/replay", new { }).Refused(404, "dead_letter.missing");
        await op.GetAsync($"{Letters}/{id}").Refused(404, "dead_letter.missing");
    }

    /// <summary>A letter that could not be delivered: the row as the engine writes it.</summary>
    private async Task<(Guid Id, string Address)> Buried(TestTenant acme, string type = "letter", string cause = "NotCarried", string died = "now()")
    {
        var node = api.Services.GetRequiredService<Node>();
        var (id, address) = (Guid.CreateVersion7(), $"to-{Guid.NewGuid():N}@example.org");
        var subject = $"user-{acme.User}";
        var letter = JsonSerializer.Serialize(new Letter(address, "Hello", ["text"]), StoredJson.Options);
        var body = JsonSerializer.Serialize(new Mailing(await node.Seal(acme.Id, subject, letter, default)), StoredJson.Options);
        await api.Database.Run($$"""
            insert into nubabel.dead_letters (tenant_id, id, queue, lane, seq, type, body, subject, actor, headers, enqueued, died, attempts, cause, error)
            values ('{{acme.Id}}', '{{id}}', 'mail', '~1', nextval('nubabel.message_numbers'), '{{type}}', '{{body}}', '{{subject}}', '{{subject.Replace('-', ':')}}', '{"from":"here"}', now(), {{died}},
              '[{"at":"2026-11-21T08:00:00Z","ms":3,"node":"one","cause":"{{cause}}","error":"The mail server does not answer."}]', '{{cause}}', 'The mail server does not answer.')
            """);
        return (id, address);
    }

    private async Task<string[]> Audited(string stream)
    {
        var position = await api.Database.Scalar<long>("select max(seq_id) from events.mt_events");
        var entries = await op.Items($"/api/admin/audit-logs?object={stream}", Nubabel.Api.Host.Positions.Format("main", position));
        Assert.All(entries, e => Assert.StartsWith("operator:", e.Text("actor"), StringComparison.Ordinal));
        return [.. entries.Select(e => e.Text("action")).Order(StringComparer.Ordinal)];
    }
}
