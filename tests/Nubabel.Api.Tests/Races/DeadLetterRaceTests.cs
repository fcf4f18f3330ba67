using System.Net.Http.Json;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>One dead letter, and operators at two nodes who all want something of it.</summary>
[Collection(TwoNodes.Name)]
public sealed class DeadLetterRaceTests(TwoNodes nodes)
{
    [Fact]
    public async Task A_letter_replayed_fifty_times_at_once_is_put_back_once_and_recorded_once()
    {
        var id = Guid.CreateVersion7();
        // Nobody works on its queue: what is put back stays to be counted.
        await nodes.Database.Run($$"""
            insert into nubabel.dead_letters (tenant_id, id, queue, lane, seq, type, body, actor, enqueued, cause, error)
            values ('{{Guid.CreateVersion7()}}', '{{id}}', 'nobody', '~1', nextval('nubabel.message_numbers'), 'note', '{}', 'system:test', now(), 'Broken', 'no')
            """);
        using var a = await nodes.A.Operator();
        using var b = nodes.B.As(a.DefaultRequestHeaders.Authorization!.Parameter!);
        var statuses = await Burst.Of(50, async i =>
        {
            using var answer = await (i % 2 == 0 ? a : b).PostAsJsonAsync($"/api/admin/dead-letters/{id}/replay", new { });
            return (int)answer.StatusCode;
        });
        Assert.Equal([200, .. Enumerable.Repeat(409, 49)], statuses.Order());
        Assert.Equal(1L, await nodes.Database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '*DEFAULT*' and stream_id = 'dead-letter-{id}'"));
        // Also the messages that carry orders out, which come a moment later, find it done.
        await Burst.Until("the orders are carried out", TimeSpan.FromSeconds(30), () => nodes.Database.Scalar<bool>($"""
            select not exists (select from nubabel.messages m where m.body->>'letter' = '{id}' union all select from nubabel.deferred_messages d where d.body->>'letter' = '{id}')
            """));
        Assert.Equal(1L, await nodes.Database.Scalar<long>($"select count(*) from nubabel.messages where id = '{id}'"));
        Assert.Equal(1, await nodes.Database.Scalar<int>($"select replays from nubabel.dead_letters where id = '{id}'"));
    }
}
