using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>A restart of the database leaves dead connections in every pool; nobody who only reads hears of it.</summary>
[Collection(Alone.Name)]
public sealed class DeadConnectionTests
{
    [Fact]
    public async Task A_read_that_meets_a_dead_connection_is_asked_again_on_another()
    {
        await using var database = await TestDatabase.New();
        await using var api = new PostgresProxy(database.ApiString);
        await using var daemon = new PostgresProxy(database.DaemonString);
        await using var node = await TestApi.Start(database, settings =>
        {
            settings["ConnectionStrings:Nubabel"] = api.ConnectionString;
            settings["ConnectionStrings:NubabelDaemon"] = daemon.ConnectionString;
        });
        var acme = await node.SignUp();
        using var platform = await node.Operator();
        var created = await Reply.To(acme.Client, "POST", "/api/devices", new { name = "phone", type = "mobile" });
        Assert.Equal(200, (await Reply.Seen(acme.Client, "/api/devices", created.Position)).Status);
        Assert.Equal(200, (await Reply.Seen(acme.Client, "/api/audit-logs", created.Position)).Status);

        foreach (var (client, path) in ((HttpClient, string)[])[
            (acme.Client, $"/api/devices/{created.Text("id")}"), (acme.Client, "/api/user"), (acme.Client, "/api/devices"), (acme.Client, "/api/audit-logs"),
            (platform, "/api/admin/projections"), (platform, "/api/admin/nodes"), (platform, "/api/admin/tenants")])
        {
            await Reads(client, path);
            await api.Cut();
            await daemon.Cut();
            await Reads(client, path);
        }
    }

    private static async Task Reads(HttpClient client, string path)
    {
        foreach (var reply in await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Reply.To(client, "GET", path)))) Assert.True(reply.Status == 200, $"{path}: {reply.Body}");
    }
}
