using System.Net.Http.Headers;
using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>Real processes, killed and stopped while everybody works.</summary>
[Collection(Alone.Name)]
public sealed class ProcessTests
{
    [Fact]
    public async Task A_process_killed_again_and_again_loses_nothing_it_acknowledged_and_doubles_nothing()
    {
        await using var database = await TestDatabase.New();
        // Somebody who stays: signs up, and reads in the end.
        await using var witness = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        var acme = await witness.SignUp();
        var node = await NodeProcess.Start(database);
        try
        {
            await using var writers = new Writers(4, acme.AccessToken, () => node.Address);
            for (var kill = 0; kill < 3; kill++)
            {
                await writers.More(Random.Shared.Next(5, 40));
                await node.Kill();
                await node.DisposeAsync();
                node = await NodeProcess.Start(database);
            }
            await writers.More(10);
            await writers.Finish();
            await writers.EverythingIsThereOnce(database, acme, acme.Client);
        }
        finally
        {
            await node.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_process_that_is_told_to_stop_finishes_what_it_has_begun_and_ends_well()
    {
        await using var database = await TestDatabase.New();
        await using var witness = await TestApi.Start(database, settings => settings["Daemon:Enabled"] = "false");
        var acme = await witness.SignUp();
        var device = await Reply.To(acme.Client, "POST", "/api/devices", new { name = "phone", type = "mobile" });
        await using var node = await NodeProcess.Start(database);
        var address = node.Address;
        await using var writers = new Writers(4, acme.AccessToken, () => address);
        await writers.More(20);
        using var client = new HttpClient { BaseAddress = node.Address, DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", acme.AccessToken) } };

        Task<Reply> begun;
        await using (var holder = await database.Superuser.OpenConnectionAsync())
        {
            // A rename that waits for a row is certainly under way when the signal comes.
            await using var transaction = await holder.BeginTransactionAsync();
            await using var hold = new NpgsqlCommand($"select from events.mt_streams where tenant_id = '{acme.Id}' and id = 'device-{device.Text("id")}' for update", holder, transaction);
            await hold.ExecuteNonQueryAsync();
            begun = Reply.To(client, "PUT", device.Location + "/name", new { name = "pocket" });
            await Burst.Until("the rename waits", TimeSpan.FromSeconds(10), async () =>
                await database.Scalar<long>($"select count(*) from pg_stat_activity where datname = '{database.Name}' and wait_event_type = 'Lock' and application_name like 'nubabel-api%'") > 0);
            await node.Terminate();
            await Burst.Until("nobody is let in any more", TimeSpan.FromSeconds(10), () => IsClosed(node.Address));
            Assert.False(begun.IsCompleted);
            await transaction.RollbackAsync();
        }
        var renamed = await begun;
        Assert.Equal((200, "pocket"), (renamed.Status, renamed.Text("name")));
        Assert.Equal(0, await node.ExitCode(TimeSpan.FromSeconds(45)));

        // Whatever the process had begun it has also answered: without an answer nothing was done.
        await Burst.Until("what was done was answered", TimeSpan.FromSeconds(5), async () =>
            await database.Scalar<long>($"select count(*) from events.mt_events where tenant_id = '{acme.Id}' and type = 'device_registered'") == writers.Acknowledged.Count + 1);
        address = witness.Client.BaseAddress!;
        await writers.Finish();
        Assert.Empty(writers.Wrong);
    }

    private static async Task<bool> IsClosed(Uri address)
    {
        using var socket = new System.Net.Sockets.TcpClient();
        try
        {
            await socket.ConnectAsync(address.Host, address.Port);
            return false;
        }
        catch (System.Net.Sockets.SocketException)
        {
            return true;
        }
    }
}
