using System.Text.Json;
using Nubabel.Api.Tests.Races;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Commands;

/// <summary>Dead letters as an operator works on them at the machine.</summary>
public sealed class LetterVerbsTests : IAsyncLifetime
{
    private const string Tenant = "019a2b3c-4d5e-7f60-8123-456789abc001";
    private TestDatabase database = null!;

    public async Task InitializeAsync() => database = await TestDatabase.New();
    public async Task DisposeAsync() => await database.DisposeAsync();

    [Fact]
    public async Task Letters_are_listed_shown_counted_replayed_discarded_and_exported()
    {
        await Bury(5);
        var one = await database.Scalar<Guid>("select id from nubabel.dead_letters order by died limit 1");
        var listed = await Said("dead-letters", "list", "--queue", "nobody", "--limit", "3");
        Assert.Equal(4, listed.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Contains("Broken", listed, StringComparison.Ordinal);
        Assert.Equal("{\"text\":\"1\"}", JsonElement.Parse(await Said("dead-letters", "show", $"{one}")).GetProperty("body").GetRawText().Replace(" ", "", StringComparison.Ordinal).Replace("\n", "", StringComparison.Ordinal));

        // Nobody answers the question.
        var (code, _, errors) = await NubabelCommand.Run(database, "dead-letters", "replay", "--all");
        Assert.True(code == 1 && errors.Contains("5 dead letters will be replayed. Go on? [y/N]", StringComparison.Ordinal), errors);
        Assert.Contains("1 dead letters were replayed.", await Said("dead-letters", "replay", $"{one}", "--yes", "--reason", "mended"), StringComparison.Ordinal);
        Assert.Contains("4 dead letters were discarded.", await Said("dead-letters", "discard", "--queue", "nobody", "--yes", "--reason", "not ours"), StringComparison.Ordinal);
        Assert.Contains("0 dead, 1 replayed, 4 discarded", await Said("dead-letters", "stats"), StringComparison.Ordinal);
        var lines = (await Said("dead-letters", "export", "--state", "discarded")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(["2", "3", "4", "5"], lines.Select(l => JsonElement.Parse(l).GetProperty("body").GetProperty("text").GetString()));
        Assert.Equal(7L, await database.Scalar<long>("select count(*) from events.mt_events where tenant_id = '*DEFAULT*' and user_name = 'system:command-line' and (type like 'letter_sweep%' or type like 'dead_letter%')"));
    }

    [Fact]
    public async Task A_bulk_replay_that_is_killed_is_brought_to_its_end_by_a_server_and_no_letter_is_replayed_twice()
    {
        const int all = 20_000;
        await Bury(all);
        // A letter in the middle is held: however late the signal comes, the command has begun and cannot have ended.
        await using (var held = await HeldLock.Of(database, $"select from nubabel.dead_letters where body->>'text' = '{all / 2}' for update"))
        await using (var command = NubabelCommand.Start(database, "dead-letters", "replay", "--queue", "nobody", "--yes"))
        {
            await held.Waited("in the middle", TimeSpan.FromSeconds(60));
            await command.Kill();
            await command.End();
            await held.EndWaiting();
        }
        Assert.Equal(0L, await database.Scalar<long>("select count(*) from events.mt_events where type = 'letter_sweep_ended'"));
        Assert.InRange(await database.Scalar<long>("select done from nubabel.letter_sweeps"), 1, all - 1);

        await using var api = await TestApi.Start(database);
        await Burst.Until("a server has ended it", TimeSpan.FromSeconds(60), () => database.Scalar<bool>($"select exists (select from events.mt_events where type = 'letter_sweep_ended' and data->>'done' = '{all}')"));
        Assert.Equal(all, await database.Scalar<long>("select count(distinct id) from nubabel.messages where queue = 'nobody'"));
        Assert.Equal(all, await database.Scalar<long>("select count(*) from nubabel.dead_letters where state = 'replayed' and replays = 1 and closed_by = 'system:command-line'"));
    }

    /// <summary>Letters of a queue that no process works on.</summary>
    private Task Bury(int letters) => database.Run($$"""
        insert into nubabel.dead_letters (tenant_id, id, queue, lane, seq, type, body, actor, enqueued, died, cause, error)
        select '{{Tenant}}', gen_random_uuid(), 'nobody', '!' || n, n, 'note', jsonb_build_object('text', n::text), 'system:test', now(), now() - interval '1 hour' + n * interval '1 ms', 'Broken', 'no' from generate_series(1, {{letters}}) n
        """);

    private async Task<string> Said(params string[] arguments)
    {
        var (code, output, errors) = await NubabelCommand.Run(database, arguments);
        Assert.True(code == 0, $"{string.Join(' ', arguments)}: {errors}");
        return output;
    }
}
