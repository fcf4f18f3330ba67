using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Api.Reads;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Reads;

/// <summary>What one caller reads at the same time is recorded at the same time.</summary>
public sealed class ReadLanesTests
{
    [Fact]
    public async Task Reads_of_one_caller_at_once_do_not_wait_for_each_other()
    {
        var acme = await (await TestApi.Shared).SignUp();
        await acme.Colleague();
        await acme.Api.HasSeen("members");
        (await acme.Client.GetAsync("/api/members")).EnsureSuccessStatusCode();
        await using var connection = await acme.Api.Database.Superuser.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using (var hold = new Npgsql.NpgsqlCommand($"select 1 from events.mt_streams where tenant_id = '{acme.Id}' and id like 'personal-data-%' for update", connection)) await hold.ExecuteNonQueryAsync();
        var first = acme.Client.GetAsync("/api/members");
        await Burst.Until("the first waits for its stream", TimeSpan.FromSeconds(10), async () =>
            await acme.Api.Database.Scalar<long>($"select count(*) from pg_stat_activity where {connection.ProcessID} = any(pg_blocking_pids(pid))") > 0);
        for (var i = 0; i < 3; i++) (await acme.Client.GetAsync("/api/members").WaitAsync(TimeSpan.FromSeconds(10))).EnsureSuccessStatusCode();
        Assert.False(first.IsCompleted);
        await transaction.CommitAsync();
        (await first).EnsureSuccessStatusCode();
        // Wherever they stand, all of them are the caller's, in the trail and in what is held about the caller.
        await acme.Api.HasSeen("audit");
        Assert.Equal(5, (await acme.Trail("?action=personal_data.read")).Count(e => e.Text("actor") == $"user:{acme.User}" && e.Text("outcome") == "succeeded"));
        var held = await (await acme.Client.GetAsync("/api/user/data-export")).Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal(2, held.GetProperty("auditTrail").EnumerateArray().Where(e => e.Text("action") == "personal_data.read").Select(e => e.Text("object")).Distinct().Count());
    }

    [Fact]
    public void A_stream_is_given_to_one_read_at_a_time_while_there_are_enough()
    {
        var lanes = new ReadLanes();
        var taken = Enumerable.Range(0, ReadLanes.Most).Select(_ => lanes.Enter("acme", "user-1")).ToArray();
        Assert.Equal(Enumerable.Range(0, ReadLanes.Most), taken.Select(l => l.Number).Order());
        using (var more = lanes.Enter("acme", "user-1")) Assert.InRange(more.Number, 0, ReadLanes.Most - 1);
        using (var other = lanes.Enter("acme", "user-2")) Assert.Equal(taken[0].Number, other.Number);
        taken[3].Dispose();
        using (var again = lanes.Enter("acme", "user-1")) Assert.Equal(taken[3].Number, again.Number);
        foreach (var lane in taken) lane.Dispose();
        // Who reads one after the other stays in one stream.
        for (var i = 0; i < 3; i++)
        {
            using var alone = lanes.Enter("acme", "user-1");
            Assert.Equal(taken[0].Number, alone.Number);
        }
    }
}
